package io.github.verigate

import kotlin.time.Duration

/**
 * Why a call or a watch failed: the only exception that this library makes. It
 * carries no request, so no token is in it.
 *
 * @property code the name of a Connect error code, such as "not_found"
 *   (https://connectrpc.com/docs/protocol#error-codes). "unavailable" is also what
 *   an answer is that never came or was cut, "canceled" what a closed client does.
 * @property message the gateway's own text where it answered.
 */
public class VerigateException internal constructor(
    public val code: String,
    override val message: String,
    cause: Throwable?,
    /** The gateway wants to be left alone for at least so long. */
    internal val askedPause: Duration,
) : Exception(message, cause) {
    public constructor(code: String, message: String, cause: Throwable? = null) :
        this(code, message, cause, Duration.ZERO)

    /** Whether no other try can heal it. */
    internal val isFinal: Boolean get() = code in FINAL

    override fun toString(): String = "VerigateException: $code: $message"

    internal companion object {
        const val UNAUTHENTICATED: String = "unauthenticated"

        private val FINAL = setOf(
            UNAUTHENTICATED,
            "permission_denied",
            "not_found",
            "invalid_argument",
            "out_of_range",
            "unimplemented",
        )
    }
}
