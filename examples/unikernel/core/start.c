/* SPDX-License-Identifier: ISC */
#include "start.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../plat/plat.h"
#include "../plat/x86/cpu.h"
#include "bytes.h"
#include "linux.h"
#include "memory.h"
#include "report.h"
#include "trap.h"

/*
 * From boot.S to the first instruction of the app.
 *
 * The start information lies in memory that the page tables will cover, so all
 * that is needed of it is copied first: the end of the RAM that holds the
 * image, and the command line.
 *
 * The app starts as a program of Linux does.  Its stack has, from the bottom:
 * how many arguments, the arguments, NULL, no environment, NULL, and the
 * auxiliary vector.  The arguments are the words of the command line.
 */

#define START_MAGIC     0x336ec578
#define START_RAM       1
#define START_COMMAND   1024
#define START_ARGUMENTS 32
#define START_STACK     ((size_t)256 << 10)

/* xen/arch-x86/hvm/start_info.h. */
struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command, acpi, memory;
    uint32_t memory_count, zero;
};

struct start_memory {
    uint64_t address, len;
    uint32_t type, zero;
};

/* unikernel.ld. */
extern char image_start[], app_tls_start[], app_tls_file_end[], app_tls_end[],
    app_tls_align[];
/* musl's crt1.o. */
extern char _start[];

/* Of which the app can read its copy. */
static char start_command[START_COMMAND];

/* What the app finds above its stack. */
struct start_words {
    Elf64_Phdr tls;
    uint8_t random[16];
    bool has_random;
    char command[START_COMMAND];
};

struct start_frame {
    uint64_t argument_count;
    uint64_t argument[START_ARGUMENTS + 1];
    uint64_t environment;
    Elf64_auxv_t auxiliary[7];
};

void start_core(const struct start_info *info);

/* The end of the RAM that holds the image. */
static uintptr_t
start_memory_end(const struct start_info *info)
{
    const struct start_memory *memory =
        (const struct start_memory *)info->memory;
    uint32_t i;

    for (i = 0; info->version >= 1 && i < info->memory_count; i++)
        if (memory[i].type == START_RAM &&
            memory[i].address <= (uintptr_t)image_start &&
            memory[i].len > (uintptr_t)image_start - memory[i].address)
            return memory[i].address + memory[i].len;
    report_panic("the loader gave no map of the memory of the image");
}

static void
start_copy_command(const struct start_info *info)
{
    const char *command = (const char *)info->command;
    size_t i;

    if (command == NULL)
        return;
    for (i = 0; i + 1 < sizeof(start_command) && command[i] != '\0'; i++)
        start_command[i] = command[i];
    if (command[i] != '\0')
        report_panic("the command line is longer than %u bytes",
                     (uint64_t)sizeof(start_command) - 1);
}

/* --- the app --- */

/* The image's own name comes first, then the words of the text, which it ends
 * with zeros. */
static void
start_set_arguments(struct start_frame *frame, char *text)
{
    static const char name[] = "unikernel";

    frame->argument[frame->argument_count++] = (uintptr_t)text;
    bytes_copy(text, name, sizeof(name));
    text += sizeof(name);
    bytes_copy(text, start_command, sizeof(start_command) - sizeof(name));
    while (*text != '\0') {
        for (; *text == ' '; text++)
            *text = '\0';
        if (*text == '\0')
            break;
        if (frame->argument_count == START_ARGUMENTS)
            report_panic("the command line has more than %u words",
                         (uint64_t)START_ARGUMENTS);
        frame->argument[frame->argument_count++] = (uintptr_t)text;
        while (*text != '\0' && *text != ' ')
            text++;
    }
}

static void
start_set_auxiliary(struct start_frame *frame, const struct start_words *words)
{
    const Elf64_auxv_t list[] = {
        { AT_PAGESZ, { MEMORY_PAGE } },
        { AT_PHDR, { (uintptr_t)&words->tls } },
        { AT_PHENT, { sizeof(words->tls) } },
        { AT_PHNUM, { 1 } },
        { words->has_random ? AT_RANDOM : AT_IGNORE,
          { (uintptr_t)words->random } },
        { AT_SECURE, { 0 } },
        { AT_NULL, { 0 } },
    };

    bytes_copy(frame->auxiliary, list, sizeof(frame->auxiliary));
}

/* The initial values of the thread's own variables. */
static void
start_set_tls(Elf64_Phdr *header)
{
    *header = (Elf64_Phdr){
        .p_type = PT_TLS,
        .p_flags = PF_R,
        .p_vaddr = (uintptr_t)app_tls_start,
        .p_paddr = (uintptr_t)app_tls_start,
        .p_filesz = (size_t)(app_tls_file_end - app_tls_start),
        .p_memsz = (size_t)(app_tls_end - app_tls_start),
        .p_align = (uintptr_t)app_tls_align,
    };
}

/* Returns the stack pointer.  The lowest page of the stack faults. */
static uintptr_t
start_make_stack(void)
{
    uintptr_t bottom = memory_map(START_STACK, MEMORY_WRITE);
    struct start_words *words;
    struct start_frame *frame;

    if (bottom == 0)
        report_panic("no memory for the stack of the app");
    memory_protect(bottom, MEMORY_PAGE, MEMORY_NONE);
    words = (struct start_words *)((bottom + START_STACK - sizeof(*words)) &
                                   ~(uintptr_t)15);
    frame = (struct start_frame *)(((uintptr_t)words - sizeof(*frame)) &
                                   ~(uintptr_t)15);
    start_set_tls(&words->tls);
    words->has_random = cpu_random(words->random, sizeof(words->random));
    if (!words->has_random)
        report_line("core: no random bytes: the processor has no RDRAND, or it "
                    "fails");
    start_set_arguments(frame, words->command);
    start_set_auxiliary(frame, words);
    return (uintptr_t)frame;
}

/* Called by boot.S. */
void
start_core(const struct start_info *info)
{
    uintptr_t end;

    if (info->magic != START_MAGIC)
        report_panic("not started by a PVH loader");
    end = start_memory_end(info);
    start_copy_command(info);
    memory_start(end);
    trap_start();
    plat_get()->start(start_command);
    report_line("core: %s, %u KiB of memory", plat_get()->name,
                (uint64_t)end / 1024);
    trap_enter_app((uintptr_t)_start, start_make_stack());
}

_Noreturn void
start_end(int code)
{
    report_line("core: the app ended with code %u after %u ms; it had at most "
                "%u KiB, and slept %u times",
                (uint64_t)(unsigned)code, plat_get()->now() / 1000000,
                (uint64_t)memory_peak() / 1024, linux_sleeps());
    plat_get()->exit(code);
}
