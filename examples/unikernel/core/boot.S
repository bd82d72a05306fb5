/* SPDX-License-Identifier: ISC */

/*
 * From the PVH entry point to C.
 *
 * A loader that finds the note starts the image at boot_entry in 32-bit mode
 * with paging off, and with the address of the start information in ebx.  This
 * file maps the first GiB, so that the image runs at the addresses at which it
 * was loaded, and enters long mode.  memory.c replaces these tables, which know
 * no protection, before anything else is done.
 */

#define BOOT_PRESENT 0x001
#define BOOT_WRITE   0x002
#define BOOT_LARGE   0x080

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_EM (1 << 2)
#define CR0_TS (1 << 3)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)

#define CR4_PAE        (1 << 5)
#define CR4_OSFXSR     (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)

#define MSR_EFER 0xc0000080
#define EFER_SCE (1 << 0)
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

/* The one note that QEMU and Xen look for: XEN_ELFNOTE_PHYS32_ENTRY. */
        .section .note.pvh, "a", @note
        .balign 4
        .long   4               /* length of the name */
        .long   8               /* length of the description */
        .long   18              /* type */
        .asciz  "Xen"
        .quad   boot_entry

        .section .text.boot, "ax"
        .code32
        .globl  boot_entry
boot_entry:
        cld
        movl    $core_stack_top, %esp
        movl    $(boot_level3 + BOOT_PRESENT + BOOT_WRITE), boot_level4
        movl    $(boot_level2 + BOOT_PRESENT + BOOT_WRITE), boot_level3
        xorl    %ecx, %ecx
1:      movl    %ecx, %eax
        shll    $21, %eax
        orl     $(BOOT_PRESENT | BOOT_WRITE | BOOT_LARGE), %eax
        movl    %eax, boot_level2(, %ecx, 8)
        incl    %ecx
        cmpl    $512, %ecx
        jne     1b

        movl    $boot_level4, %eax
        movl    %eax, %cr3
        movl    %cr4, %eax
        orl     $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
        movl    %eax, %cr4
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $(EFER_SCE | EFER_LME | EFER_NXE), %eax
        wrmsr
        movl    %cr0, %eax
        andl    $~(CR0_EM | CR0_TS), %eax
        orl     $(CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG), %eax
        movl    %eax, %cr0
        lgdt    boot_gdt_pointer
        ljmp    $0x08, $boot_long

        .code64
boot_long:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %ebx, %edi
        call    start_core
        ud2

        .section .rodata.boot, "a"
        .balign 8
boot_gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* code, 64 bits */
        .quad   0x00cf93000000ffff      /* data */
boot_gdt_pointer:
        .word   . - boot_gdt - 1
        .long   boot_gdt

        .bss
        .balign 4096
boot_level4:
        .skip   4096
boot_level3:
        .skip   4096
boot_level2:
        .skip   4096

/* The stacks of ring 0: that of system calls, and that of exceptions.  Below
 * each lies a page that memory.c leaves unmapped. */
        .globl  core_stack_guard, core_stack_top
        .globl  core_fault_guard, core_fault_top
core_stack_guard:
        .skip   4096
        .skip   16384
core_stack_top:
core_fault_guard:
        .skip   4096
        .skip   8192
core_fault_top:

        .section .note.GNU-stack, "", @progbits
