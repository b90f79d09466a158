#include "textflag.h"

// The kernel's call of a handler: signal in DI, siginfo in SI, context in DX. The sender, si_pid, is at 16.
TEXT handler<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL DI, AX
	LEAQ ·inside(SB), CX
	LEAQ ·outside(SB), R8
	CMPL 16(SI), $0
	CMOVQEQ R8, CX
	MOVL $1, (CX)(AX*4)
	MOVQ ·next(SB), AX
	JMP AX

DATA ·entry(SB)/8, $handler<>(SB)
GLOBL ·entry(SB), NOPTR, $8
