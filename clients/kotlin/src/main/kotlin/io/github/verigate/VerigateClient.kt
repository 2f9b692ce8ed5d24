package io.github.verigate

import io.github.verigate.v1.GetVerificationRequest
import io.github.verigate.v1.StartVerificationRequest
import io.github.verigate.v1.StartVerificationResponse
import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.Verification
import java.io.Closeable
import java.util.UUID
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import okhttp3.OkHttpClient

/**
 * A client of a Verigate gateway, for Android and the JVM: [start] a verification,
 * [get] one, and [watch] one until it is over.
 *
 * The package is small: `VerigateClient` is all that an app calls. Below it,
 * `Watch` is the one idea, a stream that reconnects; `Calls` puts a token on each
 * call; `Wire` sets OkHttp up for streams; `Failure` judges what went wrong. The
 * messages are generated, in `io.github.verigate.v1`, and nothing here is sent or
 * read that the gateway's API does not say.
 *
 *     VerigateClient ──► Watch ──► StatusStream ─┐
 *           │              ▲ nudges              ├─► Calls ──► Wire ──► OkHttp
 *           ├── Presence ──┘                     │
 *           └── start, get ──────────────────────┘
 *
 * Make one per gateway and token and keep it; it is safe to use from any
 * coroutine. [close] it in the end.
 */
public class VerigateClient internal constructor(
    baseUrl: String,
    token: TokenSource,
    options: VerigateOptions,
    seams: Seams,
) : Closeable {
    private val presence = Presence()
    private val wires: Wires
    private val calls: Calls
    private val ground: Ground

    init {
        checkOptions(baseUrl, options)
        wires = Wires(baseUrl, options.okHttpClient ?: OkHttpClient())
        calls = Calls(wires, presence, token)
        ground = Ground(calls, presence, seams, options.heartbeat)
    }

    /**
     * A client with one token for its whole life: in an app the client token of one
     * verification or the end user's own token, in a backend an API key.
     *
     * @param baseUrl where the gateway is, such as "https://verify.example.com".
     * @throws VerigateException `invalid_argument` that names the wrong option.
     */
    public constructor(baseUrl: String, token: String, options: VerigateOptions = VerigateOptions()) :
        this(baseUrl, TokenSource(renews = false) { token }, options, Seams()) {
        checkToken(token)
    }

    /**
     * A client that asks [token] before each call. The function should keep what it
     * has until shortly before that expires. A watch whose token is refused asks
     * again at once; a function that fails or hangs counts as a network that does.
     *
     * @throws VerigateException `invalid_argument` that names the wrong option.
     */
    public constructor(baseUrl: String, options: VerigateOptions = VerigateOptions(), token: suspend () -> String) :
        this(baseUrl, TokenSource(renews = true, token), options, Seams())

    /**
     * Starts a verification and returns where to send the person. One call, no
     * retries, 30 s at most.
     *
     * @param flow what to start, as the gateway's configuration names it.
     * @param subject your opaque id for your user; empty with an end user's own token.
     * @param reference your own id for this verification.
     * @param more sets further fields. For a start that you may repeat, set
     *   `idempotencyKey`; a random one is made otherwise.
     * @throws VerigateException with the gateway's code and reason.
     */
    public suspend fun start(
        flow: String,
        subject: String = "",
        reference: String = "",
        more: StartVerificationRequest.Builder.() -> Unit = {},
    ): StartVerificationResponse = start(
        StartVerificationRequest.newBuilder()
            .setFlow(flow)
            .setSubject(subject)
            .setReference(reference)
            .apply(more)
            .build(),
    )

    /** Starts a verification with the generated request; otherwise like the other [start]. */
    public suspend fun start(request: StartVerificationRequest): StartVerificationResponse {
        if (request.idempotencyKey.isNotEmpty()) return calls.start(request)
        // OkHttp sends a request again when a kept connection turns out dead: with
        // a key that cannot start anything twice.
        return calls.start(request.toBuilder().setIdempotencyKey(UUID.randomUUID().toString()).build())
    }

    /**
     * Returns one verification. One call, no retries, 30 s at most.
     *
     * @throws VerigateException with the gateway's code and reason, such as "not_found".
     */
    public suspend fun get(id: String): Verification =
        calls.get(GetVerificationRequest.newBuilder().setId(id).build())

    /** Returns the newest verification that carries your [reference]; otherwise like [get]. */
    public suspend fun getByReference(reference: String): Verification =
        calls.get(GetVerificationRequest.newBuilder().setReference(reference).build())

    /**
     * Watches a verification until it is over: each version that is newer than the
     * last, once, in order, across cuts, silence, deploys and bad tokens. The flow is
     * cold: each collection is a watch of its own, and ends its call when the collector
     * stops. It completes only after a message with `terminal`.
     *
     * @param id the verification's id.
     * @param afterVersion the last version that you have seen; older ones are not repeated.
     * @param followRevisions stay after a terminal state, to see it revised; then the
     *   flow does not complete by itself.
     * @param onLine is told how the line is, in the collector's coroutine.
     * @throws VerigateException when no other try can heal it: `unauthenticated`,
     *   `permission_denied`, `not_found`, `invalid_argument`, `out_of_range`,
     *   `unimplemented`; or `canceled` when this client is closed.
     */
    public fun watch(
        id: String,
        afterVersion: Long = 0,
        followRevisions: Boolean = false,
        onLine: (Line) -> Unit = {},
    ): Flow<StatusUpdate> = flow {
        Watch(ground, Wish(id, afterVersion, followRevisions), onLine).run { emit(it) }
    }

    /** The app goes to the background: from now on silence does not count as a dead line. */
    public fun pause() {
        presence.pause()
    }

    /**
     * The app is back in the foreground, or on another network: connections from
     * before may be dead without saying so, so every open watch opens its stream
     * anew, at once.
     */
    public fun resume() {
        wires.renew(wires.current)
        presence.resume()
    }

    /** Cancels every call; open watches fail with `canceled`. The app's own OkHttpClient is left alone. */
    override fun close() {
        presence.close()
        wires.close()
    }
}
