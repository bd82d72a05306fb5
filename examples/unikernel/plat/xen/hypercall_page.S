/* SPDX-License-Identifier: ISC */

/*
 * Hypercalls.  Their page, hypercall_page of unikernel.ld, is filled by Xen with 32
 * bytes of code for each.  Xen writes it by its physical address, so it may be
 * mapped without write access.  The image has no bytes for it.  Until Xen fills it,
 * it has zeros, which are a write to where rax points, and that is this page.
 */

/* int64_t hypercall_make(uint64_t number, uint64_t a, uint64_t b, uint64_t c) */
        .text
        .globl  hypercall_make
hypercall_make:
        movq    %rdi, %rax
        shlq    $5, %rax
        addq    $hypercall_page, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        jmp     *%rax

        .section .note.GNU-stack, "", @progbits
