/* SPDX-License-Identifier: ISC */
#ifndef FLOW_STATUS_H
#define FLOW_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief What an operation answered, and why it failed.
 *
 * Every operation returns an #flow_status; counts come back through
 * out-parameters, so that zero never has a second meaning.  The reason for a
 * failure is in a #flow_error, a record of fixed size without heap memory,
 * which names the layer where the failure arose.
 *
 * <!-- fragment -->
 * @code
 * struct flow_error err;
 * char text[256];
 *
 * if (flow_read(f, buf, sizeof(buf), &n) < 0) {
 *     flow_get_error(f, FLOW_READ, &err);
 *     flow_error_format(&err, text, sizeof(text));
 *     fprintf(stderr, "%s\n", text);
 * }
 * @endcode
 */

/**
 * @brief The answer of an operation.
 *
 * Zero and positive values are conditions, negative ones are errors.  An error
 * is either sticky (every later call of that direction returns it again) or
 * transient (nothing was accepted, nothing was lost, the call may be made
 * again); flow_status_is_sticky() tells which.
 */
enum flow_status {
    /** Progress: at least one byte moved, or the operation is complete. */
    FLOW_OK = 0,
    /** Read side: the peer ended its direction in order.  Sticky. */
    FLOW_EOF = 1,
    /** No progress possible now; nothing moved.  See flow_wait(). */
    FLOW_AGAIN = 2,

    /** Read side ended without the end marker this layer requires; every
     *  byte before it was delivered.  Sticky. */
    FLOW_E_TRUNCATED = -1,
    /** Written after our shutdown, or the peer takes no more.  Sticky. */
    FLOW_E_CLOSED = -2,
    /** The connection was reset or lost.  Sticky. */
    FLOW_E_RESET = -3,
    /** A deadline passed.  Transient, except in the opening of a flow. */
    FLOW_E_TIMEOUT = -4,
    /** The flow was aborted on this side (flow_abort()).  Sticky. */
    FLOW_E_CANCELED = -5,
    /** The peer violated the protocol.  Sticky. */
    FLOW_E_PROTO = -6,
    /** An identity check failed (chain, name, time, policy).  Sticky. */
    FLOW_E_AUTH = -7,
    /** No memory, or a pool or table is exhausted.  Transient. */
    FLOW_E_NOMEM = -8,
    /** Misuse: an argument is out of range.  Transient. */
    FLOW_E_INVAL = -9,
    /** This flow cannot do that (flow_caps()).  Transient. */
    FLOW_E_NOTSUP = -10,
    /** Another call of the same direction is running, or a lease is out.
     *  Transient. */
    FLOW_E_BUSY = -11,
    /** An operating-system error; its code is in the error record.  Sticky. */
    FLOW_E_SYS = -12,
    /** No source of entropy is healthy, so no key can be made.  Sticky for a
     *  flow; a constructor answers it until a source is healthy. */
    FLOW_E_ENTROPY = -13
};

/** Whose numbering flow_error::code follows. */
enum flow_domain {
    FLOW_DOMAIN_NONE = 0,     /**< No native code. */
    FLOW_DOMAIN_ERRNO = 1,    /**< The system's errno values. */
    FLOW_DOMAIN_ENGINE = 2,   /**< The TLS engine's error numbers. */
    FLOW_DOMAIN_RESOLVER = 3, /**< The EAI_ values of getaddrinfo(). */
    FLOW_DOMAIN_XEN = 4       /**< Xen's errno values, from a hypercall. */
};

/** Layers that an error record can name. */
#define FLOW_ERROR_LAYERS 4
/** Bytes of flow_error::detail, its terminating NUL included. */
#define FLOW_ERROR_DETAIL 96

/**
 * @brief Why something failed.
 *
 * Fixed size, plain data, no pointers to anything but static text: copy it
 * freely.  @ref layers starts with the layer where the failure arose; each
 * layer above that passed it on added its name at the end.
 */
struct flow_error {
    /** What the failing call returned; #FLOW_OK when nothing failed. */
    enum flow_status status;
    /** Whose number @ref code is. */
    enum flow_domain domain;
    /** Native code in @ref domain, 0 when there is none. */
    int32_t code;
    /** TLS alert that we sent, or will send with the next flow_flush(); -1 when
     *  there is none. */
    int16_t alert_sent;
    /** TLS alert that the peer sent, -1 when none. */
    int16_t alert_received;
    /** Why an identity was refused: FLOW_VERIFY_ bits of <flow/tls.h>. */
    uint32_t verify_flags;
    /** How many of @ref layers are set, 0..#FLOW_ERROR_LAYERS. */
    uint32_t layer_count;
    /** Static names, lowest first. */
    const char *layers[FLOW_ERROR_LAYERS];
    /** What went wrong, one static phrase without full stop; never NULL once
     *  @ref status is set. */
    const char *text;
    /** What to do about it, static, or NULL. */
    const char *hint;
    /** The thing concerned (a file, a host, a certificate), NUL terminated,
     *  cut when too long, empty when there is none. */
    char detail[FLOW_ERROR_DETAIL];
};

/**
 * @brief The name of a status as it is written in C, "FLOW_E_RESET".
 *
 * @param[in] status  Any value.
 * @return A static string; "FLOW_UNKNOWN" for an unknown value.
 * @par Since
 * 0.1
 */
FLOW_API const char *flow_status_name(enum flow_status status);

/**
 * @brief A short phrase for a status, "the connection was reset".
 *
 * @param[in] status  Any value.
 * @return A static string.
 * @par Since
 * 0.1
 */
FLOW_API const char *flow_status_text(enum flow_status status);

/**
 * @brief Whether every later call of a direction returns a status again.
 *
 * @param[in] status  Any value.
 * @return true for #FLOW_EOF and the errors marked sticky above.
 * @par Since
 * 0.1
 */
FLOW_API bool flow_status_is_sticky(enum flow_status status);

/**
 * @brief Make an error record empty: #FLOW_OK, no alerts, no layers.
 *
 * @param[out] err  The record.
 * @par Since
 * 0.1
 */
FLOW_API void flow_error_clear(struct flow_error *err);

/**
 * @brief Fill an error record at the place where a failure arose.
 *
 * Sets one layer and clears the alerts, the verify flags and the detail.
 *
 * @param[out] err     The record, or NULL, which does nothing.
 * @param[in]  status  What the failing call returns.
 * @param[in]  layer   Static name of the layer.
 * @param[in]  domain  Whose number @p code is.
 * @param[in]  code    Native code, 0 for none.
 * @param[in]  text    Static phrase: what went wrong.
 * @return @p status, so that a function can end in this call.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_error_set(struct flow_error *err,
                                         enum flow_status status,
                                         const char *layer,
                                         enum flow_domain domain, int32_t code,
                                         const char *text);

/**
 * @brief Set the detail of an error: the file, host or certificate concerned.
 *
 * @param[in,out] err     The record, or NULL, which does nothing.
 * @param[in]     detail  NUL terminated; copied, cut when too long; control
 *                        characters and bytes above 0x7e become '?', so that
 *                        what a peer sent cannot disturb a terminal or a log.
 * @par Since
 * 0.1
 */
FLOW_API void flow_error_set_detail(struct flow_error *err, const char *detail);

/**
 * @brief Add the name of a layer that passes an error on.
 *
 * Keeps the cause.  If there are #FLOW_ERROR_LAYERS names already, the last one
 * is replaced, so that the lowest and the topmost are always known.
 *
 * @param[in,out] err    The record, or NULL, which does nothing.
 * @param[in]     layer  Static name of the layer.
 * @par Since
 * 0.1
 */
FLOW_API void flow_error_add_layer(struct flow_error *err, const char *layer);

/**
 * @brief Write an error as one line of text.
 *
 * Such as "tls over tcp: peer certificate refused: certificate has expired
 * (CN=www.example.org), alert sent: certificate_expired".
 * A code of #FLOW_DOMAIN_ENGINE is written in hexadecimal, as engines document
 * theirs; the others in decimal.
 *
 * @param[in]  err  The record.
 * @param[out] buf  Receives the text, always NUL terminated when @p len > 0.
 * @param[in]  len  Bytes at @p buf; 0 only asks for the length.
 * @return The bytes the whole text needs, without the NUL.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_error_format(const struct flow_error *err, char *buf,
                                  size_t len);

/**
 * @brief The name of a TLS alert, "handshake_failure" (RFC 8446 6).
 *
 * @param[in] alert  0..255.
 * @return A static string; "unknown_alert" where no RFC names it.
 * @par Since
 * 0.1
 */
FLOW_API const char *flow_alert_name(int alert);

#ifdef __cplusplus
}
#endif

#endif
