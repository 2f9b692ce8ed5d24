package io.github.verigate

import com.connectrpc.Headers
import com.connectrpc.ResponseMessage
import io.github.verigate.v1.GetVerificationRequest
import io.github.verigate.v1.StartVerificationRequest
import io.github.verigate.v1.StartVerificationResponse
import io.github.verigate.v1.Verification
import io.github.verigate.v1.VerificationServiceClient
import io.github.verigate.v1.WatchStatusRequest
import kotlin.time.Duration
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.async
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.selects.onTimeout
import kotlinx.coroutines.selects.select
import kotlinx.coroutines.withContext

/** Where the token comes from. */
internal class TokenSource(
    /** Whether asking again may give another one. */
    val renews: Boolean,
    private val token: suspend () -> String,
) {
    /**
     * The token for one call. A function that fails or takes longer than [limit] is
     * `unavailable`: fetching a token needs the network, too. The limit is asked for
     * again when the app goes or comes; null is none. It ends with `canceled` once
     * the client is closed.
     */
    suspend fun current(presence: Presence, limit: () -> Duration?): String {
        val got = awaited(presence, limit)
        tokenProblem(got)?.let {
            throw VerigateException(VerigateException.UNAUTHENTICATED, "token: the function returned a bad one: $it")
        }
        return got
    }

    // The function runs without a parent, so that one that cannot be cancelled, as
    // a callback that never comes cannot, holds nobody who stopped waiting for it.
    @OptIn(ExperimentalCoroutinesApi::class)
    private suspend fun awaited(presence: Presence, limit: () -> Duration?): String {
        val nudges = presence.enter()
        val answer = CoroutineScope(currentCoroutineContext().minusKey(Job)).async { asked() }
        try {
            var got: String? = null
            while (got == null) {
                presence.check()
                got = select {
                    answer.onAwait { it }
                    nudges.onReceive { null }
                    limit()?.let { onTimeout(it) { throw tooLate() } }
                }
            }
            return got
        } finally {
            answer.cancel()
            presence.leave(nudges)
        }
    }

    private fun tooLate() = VerigateException("unavailable", "token: the function did not answer in time")

    private suspend fun asked(): String = try {
        token()
    } catch (failed: Exception) {
        // A time limit inside the function looks like a cancellation; only ours is one.
        currentCoroutineContext().ensureActive()
        throw VerigateException("unavailable", "token: the function failed", failed)
    }
}

/** The three calls, each with a fresh token over the current wire, failing with [VerigateException] only. */
internal class Calls(private val wires: Wires, private val presence: Presence, private val token: TokenSource) {
    val tokenRenews: Boolean get() = token.renews

    suspend fun start(request: StartVerificationRequest): StartVerificationResponse =
        unary { headers -> startVerification(request, headers) }.also { complete(it.hasVerification()) }

    /** With [tokenLimit] the token function gets less time than the whole call may take. */
    suspend fun get(request: GetVerificationRequest, tokenLimit: (() -> Duration?)? = null): Verification =
        unary(tokenLimit) { headers -> getVerification(request, headers) }.also { complete(it.hasVerification()) }.verification

    /** The headers of a stream, whose token the app has [tokenLimit] to give. */
    suspend fun headers(tokenLimit: () -> Duration?): Headers =
        mapOf("Authorization" to listOf("Bearer ${token.current(presence, tokenLimit)}"))

    /** Opens a stream. Close it, whatever comes. */
    suspend fun watch(request: WatchStatusRequest, headers: Headers): StatusStream {
        presence.check()
        val wire = wires.current
        val stream = StatusStream(wire, wire.service.watchStatus(headers))
        try {
            stream.ask(request)
            return stream
        } catch (failed: Throwable) {
            withContext(NonCancellable) { stream.close() }
            throw failed
        }
    }

    /** Stops using the connections of a wire that fell silent. */
    fun renew(wire: Wire) = wires.renew(wire)

    private suspend fun <T> unary(
        tokenLimit: (() -> Duration?)? = null,
        call: suspend VerificationServiceClient.(Headers) -> ResponseMessage<T>,
    ): T {
        presence.check()
        val asked = TimeSource.Monotonic.markNow()
        val headers = headers(tokenLimit ?: { UNARY_DEADLINE - asked.elapsedNow() })
        val wire = wires.current
        return when (val answer = wire.service.call(headers)) {
            is ResponseMessage.Success -> answer.message
            is ResponseMessage.Failure -> throw failure(wire, answer)
        }
    }

    // An answer that was cut off, or that is empty, reads as a message without fields.
    private fun complete(isComplete: Boolean) {
        presence.check()
        if (!isComplete) throw VerigateException("unavailable", "no complete answer from the gateway")
    }

    private fun failure(wire: Wire, answer: ResponseMessage.Failure<*>): VerigateException {
        presence.check()
        val failure = judge(answer.cause, answer.headers)
        // Our own deadline has a cause, the gateway's has none. The connection may be a dead one.
        if (failure.code == "deadline_exceeded" && failure.cause != null) wires.renew(wire)
        return failure
    }
}
