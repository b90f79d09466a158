#include "textflag.h"

// The kernel's call of a handler: signal in R0, siginfo in R1, context in R2. The sender, si_pid, is at 16.
TEXT handler<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVWU 16(R1), R3
	MOVD $·inside(SB), R4
	CBNZ R3, note
	MOVD $·outside(SB), R4
note:
	MOVW $1, R5
	ADD R0<<2, R4, R4
	MOVW R5, (R4)
	MOVD ·next(SB), R4
	JMP (R4)

DATA ·entry(SB)/8, $handler<>(SB)
GLOBL ·entry(SB), NOPTR, $8
