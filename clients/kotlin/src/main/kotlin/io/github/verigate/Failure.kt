package io.github.verigate

import com.connectrpc.Code
import com.connectrpc.ConnectErrorDetail
import com.connectrpc.ConnectException
import com.connectrpc.Headers
import com.google.protobuf.CodedInputStream
import com.google.protobuf.WireFormat
import java.io.IOException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.nanoseconds
import kotlin.time.Duration.Companion.seconds

// Judges what connect-kotlin reports: which error it is for the app, and how long
// the gateway wants to be left alone first.

/** The longest pause that anybody may ask for. */
private val LONGEST_ASKED = 5.minutes

/** No error text is longer: it may be the page of an intermediary. */
private const val LONGEST_TEXT = 500

private const val NO_REASON = "the gateway refused without a reason"

/** Where to is not said: an address may carry what is for no log. */
private const val REDIRECTED = "unexpected HTTP status: a redirect, which is not followed; give the address where it ends as baseUrl"

/** Says what a failed call means. [headers] are those of the answer, if there was one. */
internal fun judge(failed: ConnectException, headers: Headers = emptyMap()): VerigateException {
    val answer = headers + failed.metadata
    // connect-kotlin has a code for whatever goes wrong, a torn message included.
    // The gateway's verdict is one that came with an answer, and what broke off
    // after the answer's headers has a cause but no text.
    val brokeOff = failed.exception != null && failed.message == null
    if (answer.isNotEmpty() && !brokeOff) {
        val text = if ("location" in answer) REDIRECTED else failed.message?.take(LONGEST_TEXT) ?: NO_REASON
        return VerigateException(failed.code.codeName, text, null, askedPause(answer, failed.details))
    }
    if (failed.code == Code.DEADLINE_EXCEEDED) {
        return VerigateException(failed.code.codeName, "the gateway did not answer in time", failed.exception)
    }
    return VerigateException("unavailable", "no complete answer from the gateway", failed.exception)
}

/**
 * Retry-After in seconds (RFC 9110, section 10.2.3; dates are left alone, a
 * phone's clock may be wrong) or a google.rpc.RetryInfo detail, whichever is longer.
 */
private fun askedPause(headers: Headers, details: List<ConnectErrorDetail>): Duration {
    val inHeader = headers["retry-after"]?.firstOrNull()?.trim()?.toUIntOrNull()?.toLong()?.seconds ?: Duration.ZERO
    val inDetails = details.filter { it.type.substringAfterLast('/') == "google.rpc.RetryInfo" }
        .map { retryDelay(it.payload.toByteArray()) }
    return (inDetails + inHeader).max().coerceIn(Duration.ZERO, LONGEST_ASKED)
}

/**
 * Reads google.rpc.RetryInfo (google/rpc/error_details.proto), whose field 1 is the
 * delay: its generated class would bring a library along.
 */
private fun retryDelay(bytes: ByteArray): Duration = try {
    var delay = Duration.ZERO
    val input = CodedInputStream.newInstance(bytes)
    while (true) {
        val tag = input.readTag()
        if (tag == 0) break
        if (tag == RETRY_DELAY) {
            delay = com.google.protobuf.Duration.parseFrom(input.readByteArray()).toKotlin()
        } else {
            input.skipField(tag)
        }
    }
    delay
} catch (_: IOException) {
    // A detail that cannot be read asks for nothing.
    Duration.ZERO
}

private const val RETRY_DELAY = (1 shl 3) or WireFormat.WIRETYPE_LENGTH_DELIMITED

/** A duration of protobuf in Kotlin's own type. */
internal fun com.google.protobuf.Duration.toKotlin(): Duration = seconds.seconds + nanos.nanoseconds

/** A duration of Kotlin in protobuf's own type. */
internal fun Duration.toProto(): com.google.protobuf.Duration = toComponents { seconds, nanos ->
    com.google.protobuf.Duration.newBuilder().setSeconds(seconds).setNanos(nanos).build()
}
