/* SPDX-License-Identifier: ISC */
#include "backends/lwip/stack.h"

#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/timeouts.h>

#include <flow/lwip.h>
#include <flow/port.h>

#include "backends/lwip/isn.h"
#include "backends/lwip/wire.h"

/*
 * The one stack of the process.
 *
 * - env is set once, when the stack starts, and process with it.
 * - lwIP runs only in a thread that has the lock, so its callbacks do too.
 *   A callback moves bytes between lists and signals events; it never enters.
 * - In a process that inherited the stack lwIP's functions change that
 * process's copy only: nothing turns there, so nothing is sent.
 *
 * Lock order: the stack's lock, then the lock of waits (flow_event_signal()).
 * fork(2) waits while the stack's lock is held.
 */
static struct {
    uint32_t once;
    struct flow_lock lock;
    const struct flow_env *env; /* NULL: not started. */
    uint32_t process;
} stack;

#define STACK_NSEC_PER_MSEC UINT64_C(1000000)

static void
stack_init(void)
{
    flow_lock_init(&stack.lock);
}

void
flow__lwip_enter(void)
{
    flow_once(stack_init, &stack.once);
    flow_fork_block();
    flow_lock_acquire(&stack.lock);
}

bool
flow__lwip_is_inherited(void)
{
    return stack.process != 0 && stack.process != flow_process();
}

void
flow__lwip_turn(void)
{
    if (stack.env == NULL || flow__lwip_is_inherited())
        return;
    sys_check_timeouts();
    netif_poll_all();
}

void
flow__lwip_leave(void)
{
    flow__lwip_turn();
    flow_lock_release(&stack.lock);
    flow_fork_unblock();
}

uint64_t
flow__lwip_due(const struct flow_env *env)
{
    uint32_t msec = sys_timeouts_sleeptime();

    if (msec == SYS_TIMEOUTS_SLEEPTIME_INFINITE)
        return FLOW_NEVER;
    return flow_time_after(env->now(env->ctx), msec * STACK_NSEC_PER_MSEC);
}

/* See subprojects/packagefiles/lwip/libflow/arch/cc.h. */
uint32_t
flow__lwip_now(void)
{
    return (uint32_t)(stack.env->now(stack.env->ctx) / STACK_NSEC_PER_MSEC);
}

void
flow__lwip_broken(void)
{
    /* The stack's lists cannot be trusted any more. */
    __builtin_trap();
}

static enum flow_status
stack_refuse(struct flow_error *err, enum flow_status status, const char *text,
             const char *hint)
{
    flow_error_set(err, status, LWIP_LAYER, FLOW_DOMAIN_NONE, 0, text);
    if (err != NULL)
        err->hint = hint;
    return status;
}

enum flow_status
flow__lwip_check(struct flow_error *err)
{
    /* Set before any thread can have a flow or a listener. */
    if (stack.process == 0)
        return stack_refuse(err, FLOW_E_INVAL, "the stack is not started",
                            "call flow_lwip_start() first");
    if (flow__lwip_is_inherited())
        return stack_refuse(err, FLOW_E_INVAL,
                            "the stack belongs to the process that started it",
                            "use lwIP's flows in that process only");
    return FLOW_OK;
}

enum flow_status
flow__lwip_check_flow(struct flow *f, uint32_t dirs)
{
    struct flow_error err;

    if (!flow__lwip_is_inherited())
        return FLOW_OK;
    (void)flow__lwip_check(&err);
    return flow_fail_with(f, dirs, &err);
}

/* Entered. */
static enum flow_status
stack_start(const struct flow_env *env, struct flow_error *err)
{
    if (stack.env == env && !flow__lwip_is_inherited())
        return FLOW_OK;
    if (stack.env != NULL)
        return stack_refuse(
            err, FLOW_E_BUSY,
            "the stack was started with another environment, or by a parent",
            "start it once, in the process that uses it");
    if (!flow__lwip_isn_seed(env))
        return stack_refuse(err, FLOW_E_ENTROPY,
                            "no entropy for initial sequence numbers",
                            "start the stack when the environment has some");
    stack.env = env;
    stack.process = flow_process();
    lwip_init();
    flow__lwip_wire_init();
    return FLOW_OK;
}

/* See <flow/lwip.h>. */
enum flow_status
flow_lwip_start(const struct flow_env *env, struct flow_error *ret_err)
{
    enum flow_status st;

    flow__lwip_enter();
    st = stack_start(env != NULL ? env : flow_env_default(), ret_err);
    flow__lwip_leave();
    return st;
}

/* See <flow/lwip.h>. */
uint64_t
flow_lwip_poll(void)
{
    uint64_t due = FLOW_NEVER;

    if (flow__lwip_check(NULL) != FLOW_OK)
        return due;
    flow__lwip_enter();
    flow__lwip_turn();
    due = flow__lwip_due(stack.env);
    flow__lwip_leave();
    return due;
}
