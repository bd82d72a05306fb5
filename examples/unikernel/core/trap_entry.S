/* SPDX-License-Identifier: ISC */

/*
 * The ways into ring 0 and out of it.
 *
 * Interrupts are off in ring 3 and in ring 0, except between the sti and the cli
 * of trap_sleep: so no handler interrupts anything else, and system calls need
 * no lock.  Handlers of interrupts only acknowledge them.  Every exception ends
 * in a panic, on a stack of its own, since the other one may have run over.
 *
 * C code of ring 0 is compiled without vector registers.  The app's stay as they
 * are across a system call, as Linux promises.
 */

#define LAPIC_EOI 0xfee000b0

        .text

/* struct trap_frame of "trap.h", on the stack for exceptions. */
trap_exception:
        pushq   %rdi
        pushq   %rax
        movq    %rsp, %rdi
        andq    $~15, %rsp
        cld
        call    trap_panic
        ud2

        .macro  exception vector, has_code=0
trap_vector_\vector:
        .if     \has_code == 0
        pushq   $0
        .endif
        pushq   $\vector
        jmp     trap_exception
        .endm

        exception 0
        exception 1
        exception 2
        exception 3
        exception 4
        exception 5
        exception 6
        exception 7
        exception 8, 1
        exception 9
        exception 10, 1
        exception 11, 1
        exception 12, 1
        exception 13, 1
        exception 14, 1
        exception 15
        exception 16
        exception 17, 1
        exception 18
        exception 19
        exception 20
        exception 21, 1

/* An interrupt of the local APIC, and one that need not be acknowledged. */
        .globl  trap_interrupt, trap_spurious
trap_interrupt:
        pushq   %rax
        movl    $LAPIC_EOI, %eax
        movl    $0, (%rax)
        popq    %rax
trap_spurious:
        iretq

/* Sleep until an interrupt.  One that is pending ends the sleep at once, since
 * sti takes effect after the instruction that follows it. */
        .globl  trap_sleep
trap_sleep:
        sti
        hlt
        cli
        ret

/* A system call: struct trap_call of "trap.h" on the stack. */
        .globl  trap_syscall
trap_syscall:
        movq    %rsp, trap_app_stack(%rip)
        leaq    core_stack_top(%rip), %rsp
        pushq   %rcx
        pushq   %r11
        pushq   trap_app_stack(%rip)
        pushq   %r9
        pushq   %r8
        pushq   %r10
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rax
        movq    %rsp, %rdi
        call    linux_call
        addq    $8, %rsp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %r10
        popq    %r8
        popq    %r9
        movq    8(%rsp), %r11
        movq    16(%rsp), %rcx
        movq    (%rsp), %rsp
        sysretq

/* void trap_enter_app(uintptr_t entry, uintptr_t stack) */
        .globl  trap_enter_app
trap_enter_app:
        movl    $0x1b, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movq    %rdi, %rcx
        movq    %rsi, %rsp
        movl    $2, %r11d
        xorl    %eax, %eax
        xorl    %ebx, %ebx
        xorl    %edx, %edx
        xorl    %esi, %esi
        xorl    %edi, %edi
        xorl    %ebp, %ebp
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        xorl    %r10d, %r10d
        xorl    %r12d, %r12d
        xorl    %r13d, %r13d
        xorl    %r14d, %r14d
        xorl    %r15d, %r15d
        sysretq

        .section .rodata
        .balign 8
        .globl  trap_vectors
trap_vectors:
        .irp    vector, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21
        .quad   trap_vector_\vector
        .endr

        .bss
        .balign 8
trap_app_stack:
        .skip   8

        .section .note.GNU-stack, "", @progbits
