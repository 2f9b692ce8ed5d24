package io.github.verigate

import com.connectrpc.Headers
import com.connectrpc.ResponseMessage
import io.github.verigate.v1.GetVerificationRequest
import io.github.verigate.v1.StartVerificationRequest
import io.github.verigate.v1.StartVerificationResponse
import io.github.verigate.v1.Verification
import io.github.verigate.v1.VerificationServiceClient
import io.github.verigate.v1.WatchStatusRequest
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull

/** Where the token comes from. */
internal class TokenSource(
    /** Whether asking again may give another one. */
    val renews: Boolean,
    private val token: suspend () -> String,
) {
    /**
     * The token for one call. A function that fails or takes longer than a call
     * may is `unavailable`: fetching a token needs the network, too.
     */
    suspend fun current(): String {
        val got = withTimeoutOrNull(UNARY_DEADLINE) { asked() }
            ?: throw VerigateException("unavailable", "token: the function did not answer in time")
        tokenProblem(got)?.let {
            throw VerigateException(VerigateException.UNAUTHENTICATED, "token: the function returned a bad one: $it")
        }
        return got
    }

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
        unary { headers -> startVerification(request, headers) }

    suspend fun get(request: GetVerificationRequest): Verification =
        unary { headers -> getVerification(request, headers) }.verification

    /** Opens a stream. Close it, whatever comes. */
    suspend fun watch(request: WatchStatusRequest): StatusStream {
        presence.check()
        val headers = headers()
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

    private suspend fun <T> unary(call: suspend VerificationServiceClient.(Headers) -> ResponseMessage<T>): T {
        presence.check()
        val headers = headers()
        val wire = wires.current
        return when (val answer = wire.service.call(headers)) {
            is ResponseMessage.Success -> answer.message
            is ResponseMessage.Failure -> throw failure(wire, answer)
        }
    }

    private fun failure(wire: Wire, answer: ResponseMessage.Failure<*>): VerigateException {
        presence.check()
        val failure = judge(answer.cause, answer.headers)
        // Our own deadline has a cause, the gateway's has none. The connection may be a dead one.
        if (failure.code == "deadline_exceeded" && failure.cause != null) wires.renew(wire)
        return failure
    }

    private suspend fun headers(): Headers = mapOf("Authorization" to listOf("Bearer ${token.current()}"))
}
