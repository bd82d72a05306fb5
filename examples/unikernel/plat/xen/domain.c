/* SPDX-License-Identifier: ISC */
#include "xen.h"

#include "../../core/memory.h"
#include "../../core/report.h"
#include "../x86/cpu.h"

/* Leaves of a hypervisor: the first of each 256 says whose they are
 * (xen/arch-x86/cpuid.h). */
#define DOMAIN_LEAVES     0x40000000
#define DOMAIN_LEAVES_END 0x40010000
#define DOMAIN_LEAF_STEP  0x100
#define DOMAIN_PAGE_LEAF  2 /* of the page of hypercalls */

#define DOMAIN_SHUTDOWN 2 /* SCHEDOP_shutdown, and its reasons */
#define DOMAIN_POWEROFF 0
#define DOMAIN_CRASH    3

#define DOMAIN_GET_PARAMETER 1 /* HVMOP_get_param */
#define DOMAIN_PLACE         7 /* XENMEM_add_to_physmap */

extern char hypercall_page[];

/* The first leaf of Xen, or 0. */
static uint32_t
domain_leaf(void)
{
    struct cpu_id id;
    uint32_t leaf;

    for (leaf = DOMAIN_LEAVES; leaf < DOMAIN_LEAVES_END;
         leaf += DOMAIN_LEAF_STEP) {
        id = cpu_identify(leaf);
        /* "XenVMMXenVMM" */
        if (id.ebx == 0x566e6558 && id.ecx == 0x65584d4d &&
            id.edx == 0x4d4d566e)
            return leaf;
    }
    return 0;
}

bool
domain_is_xen(void)
{
    return domain_leaf() != 0;
}

void
domain_start(void)
{
    struct cpu_id id = cpu_identify(domain_leaf() + DOMAIN_PAGE_LEAF);

    cpu_write_msr(id.ebx, (uintptr_t)hypercall_page);
}

uint64_t
domain_parameter(uint32_t index)
{
    struct {
        uint16_t domain, zero;
        uint32_t index;
        uint64_t value;
    } parameter = { .domain = XEN_DOMID_SELF, .index = index };

    if (hypercall_make(XEN_HVM_OP, DOMAIN_GET_PARAMETER, (uintptr_t)&parameter,
                       0) != 0)
        report_panic("Xen does not tell parameter %u", (uint64_t)index);
    return parameter.value;
}

bool
domain_place(uint32_t space, uint64_t index, uintptr_t page)
{
    struct {
        uint16_t domain, size;
        uint32_t space;
        uint64_t index, frame;
    } add = {
        .domain = XEN_DOMID_SELF,
        .space = space,
        .index = index,
        .frame = page / MEMORY_PAGE,
    };

    return hypercall_make(XEN_MEMORY_OP, DOMAIN_PLACE, (uintptr_t)&add, 0) == 0;
}

void
domain_exit(int code)
{
    struct {
        uint32_t reason;
    } shutdown = { code == 0 ? DOMAIN_POWEROFF : DOMAIN_CRASH };

    hypercall_make(XEN_SCHED_OP, DOMAIN_SHUTDOWN, (uintptr_t)&shutdown, 0);
    cpu_stop();
}
