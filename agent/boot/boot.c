/*
 * boot becomes the agent, in any image.
 *
 * The agent's static binary comes in pieces, since a ConfigMap holds at most 1 MiB: a.00, a.01 … beside this file.
 * boot joins them in an anonymous file in memory and executes that with its own arguments and environment, so it
 * stays the same process: PID 1, with the application's user, limits and root. It has no libc, because the
 * application's image may have none, and needs neither a writable disk nor a shell.
 *
 * Where executing memory is forbidden (vm.memfd_noexec=2, some runtimes) the first argument --into=PATH names a file
 * on a writable volume instead; it is written beside its name and renamed, so that a half-written one never runs.
 *
 * Sources: memfd_create(2), execveat(2), the psABI's process entry (argc, argv, envp on the stack).
 */
typedef long word;

#define AT_FDCWD (-100)
#define AT_EMPTY_PATH 0x1000
#define MFD_CLOEXEC 1
#define MFD_EXEC 0x10 /* since Linux 6.3; older kernels answer EINVAL and execute anyway */
#define EINVAL 22
#define ENOENT 2
#define O_WRONLY_CREAT_TRUNC_CLOEXEC 02001101

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, FCHMOD = 91, EXIT = 60, OPENAT = 257, RENAMEAT = 264, MEMFD = 319, EXECVEAT = 322 };
static word call(word n, word a, word b, word c, word d, word e) {
  word result;
  register word r10 __asm__("r10") = d;
  register word r8 __asm__("r8") = e;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start: mov %rsp,%rdi\n and $-16,%rsp\n call start\n");
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, CLOSE = 57, FCHMOD = 52, EXIT = 93, OPENAT = 56, RENAMEAT = 38, MEMFD = 279, EXECVEAT = 281 };
static word call(word n, word a, word b, word c, word d, word e) {
  register word x8 __asm__("x8") = n;
  register word x0 __asm__("x0") = a;
  register word x1 __asm__("x1") = b;
  register word x2 __asm__("x2") = c;
  register word x3 __asm__("x3") = d;
  register word x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
__asm__(".globl _start\n_start: mov x0,sp\n bl start\n");
#else
#error "boot knows x86_64 and aarch64"
#endif

static char buffer[1 << 16];
static char chunk[512];  /* the pieces' path: this program's folder, then a.NN */
static char half[512];   /* --into's PATH with .part behind it */

static word length(const char *text) {
  word n = 0;
  while (text[n]) n++;
  return n;
}

static void fail(word code, const char *what) {
  call(WRITE, 2, (word) "devcluster boot: ", 17, 0, 0);
  call(WRITE, 2, (word)what, length(what), 0, 0);
  call(WRITE, 2, (word) "\n", 1, 0, 0);
  call(EXIT, code, 0, 0, 0, 0);
}

static void join_text(char *to, const char *text, word size, const char *more) {
  word n = 0;
  for (; n < size && n < 500; n++) to[n] = text[n];
  for (word i = 0; more[i] && n < 511; i++) to[n++] = more[i];
  to[n] = 0;
}

static const char *value_of(const char *argument, const char *name) {
  word i = 0;
  for (; name[i]; i++)
    if (argument[i] != name[i]) return 0;
  return argument + i;
}

static void copy(word from, word to) {
  word got;
  while ((got = call(READ, from, (word)buffer, sizeof buffer, 0, 0)) > 0)
    for (word done = 0; done < got;) {
      word put = call(WRITE, to, (word)buffer + done, got - done, 0, 0);
      if (put <= 0) fail(103, "the agent could not be written: is there too little memory, or no space on its volume?");
      done += put;
    }
  if (got < 0) fail(103, "a piece of the agent could not be read");
}

static void gather(const char *self, word target) {
  word folder = 0;
  for (word i = 0; self[i]; i++)
    if (self[i] == '/') folder = i + 1;
  for (word number = 0; number < 100; number++) {
    char name[5] = {'a', '.', (char)('0' + number / 10), (char)('0' + number % 10), 0};
    join_text(chunk, self, folder, name);
    word piece = call(OPENAT, AT_FDCWD, (word)chunk, 0, 0, 0);
    if (piece < 0) {
      if (number == 0 || piece != -ENOENT) fail(102, "the agent's pieces are not beside boot");
      return;
    }
    copy(piece, target);
    call(CLOSE, piece, 0, 0, 0, 0);
  }
}

static word in_memory(const char *self) {
  word file = call(MEMFD, (word) "devcluster-agent", MFD_CLOEXEC | MFD_EXEC, 0, 0, 0);
  if (file == -EINVAL) file = call(MEMFD, (word) "devcluster-agent", MFD_CLOEXEC, 0, 0, 0);
  if (file < 0) fail(101, "no file in memory can be executed here; write `agent: {delivery: emptydir}` into devcluster.yaml");
  gather(self, file);
  return file;
}

static void on_disk(const char *self, const char *path) {
  join_text(half, path, length(path), ".part");
  word file = call(OPENAT, AT_FDCWD, (word)half, O_WRONLY_CREAT_TRUNC_CLOEXEC, 0755, 0);
  if (file < 0) fail(101, "the agent's volume can't be written");
  gather(self, file);
  call(FCHMOD, file, 0755, 0, 0, 0);
  call(CLOSE, file, 0, 0, 0, 0);
  if (call(RENAMEAT, AT_FDCWD, (word)half, AT_FDCWD, (word)path, 0) < 0) fail(103, "the agent's file could not be renamed");
}

__attribute__((used)) void start(word *stack) {
  word count = stack[0];
  char **arguments = (char **)(stack + 1);
  char **environment = arguments + count + 1;
  const char *self = count > 0 ? arguments[0] : "";
  const char *into = count > 1 ? value_of(arguments[1], "--into=") : 0;
  if (into) {
    on_disk(self, into);
    arguments[1] = arguments[0];
    call(EXECVEAT, AT_FDCWD, (word)into, (word)(arguments + 1), (word)environment, 0);
    fail(104, "the agent can't be executed from its volume: is it mounted noexec?");
  }
  word file = in_memory(self);
  call(EXECVEAT, file, (word) "", (word)arguments, (word)environment, AT_EMPTY_PATH);
  fail(104, "no file in memory can be executed here; write `agent: {delivery: emptydir}` into devcluster.yaml");
}
