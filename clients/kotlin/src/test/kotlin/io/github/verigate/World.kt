package io.github.verigate

import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.WatchStatusRequest
import java.io.IOException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import okhttp3.Call
import okhttp3.Connection
import okhttp3.EventListener
import okhttp3.OkHttpClient
import okhttp3.Protocol
import org.junit.jupiter.api.extension.BeforeAllCallback
import org.junit.jupiter.api.extension.ExtensionContext

/** What clients are told the heartbeat is. The gateways' is a tenth, so that a busy machine raises no alarm. */
val CALM = 5.seconds

/** Where silence is to be noticed. The gateways' is half of it. */
val ALERT = 1.seconds

/** How a client reaches the proxy. */
enum class Http(val seen: String, private vararg val protocols: Protocol) {
    ONE("HTTP/1.1", Protocol.HTTP_1_1),
    TWO("HTTP/2.0", Protocol.H2_PRIOR_KNOWLEDGE),
    ;

    fun okHttpClient(): OkHttpClient = OkHttpClient.Builder().protocols(protocols.toList()).build()
}

/** One gateway for all tests that do not stop theirs. */
class OneGateway : BeforeAllCallback {
    override fun beforeAll(context: ExtensionContext) {
        shared = context.root.getStore(ExtensionContext.Namespace.GLOBAL)
            .getOrComputeIfAbsent("gateway", { Gateway() }, Gateway::class.java)
    }

    companion object {
        lateinit var shared: Gateway
            private set
    }
}

/** A test's own proxy and clients before a gateway, and a limit on its time. */
class World(val http: Http, val gateway: Gateway) : AutoCloseable {
    val proxy = FaultProxy(gateway.url)
    private val clients = mutableListOf<VerigateClient>()

    /** A client through the proxy. */
    internal fun client(
        heartbeat: Duration = CALM,
        seams: Seams = Seams(),
        token: TokenSource = TokenSource(false) { gateway.apiKey },
        listener: EventListener = EventListener.NONE,
    ): VerigateClient {
        val own = http.okHttpClient().newBuilder().eventListener(listener).build()
        return VerigateClient(proxy.url, token, VerigateOptions(heartbeat, own), seams).also { clients += it }
    }

    /** A client beside the proxy. */
    fun direct(): VerigateClient = VerigateClient(gateway.url, gateway.apiKey).also { clients += it }

    /** Starts a verification beside the proxy. */
    suspend fun start(): String = direct().start("kyc", subject = "kotlin").verification.id

    override fun close() {
        clients.forEach { it.close() }
        proxy.close()
    }
}

/** Counts what OkHttp holds: calls whose thread is not free again, and connections that calls have not given back. */
class Held : EventListener() {
    private val counts = MutableStateFlow(0 to 0)

    /** Waits until nothing is held. */
    suspend fun none() {
        withTimeout(60.seconds) { counts.first { it == 0 to 0 } }
    }

    override fun callStart(call: Call) = counts.update { (calls, connections) -> calls + 1 to connections }

    override fun callEnd(call: Call) = counts.update { (calls, connections) -> calls - 1 to connections }

    override fun callFailed(call: Call, ioe: IOException) = counts.update { (calls, connections) -> calls - 1 to connections }

    override fun connectionAcquired(call: Call, connection: Connection) =
        counts.update { (calls, connections) -> calls to connections + 1 }

    override fun connectionReleased(call: Call, connection: Connection) =
        counts.update { (calls, connections) -> calls to connections - 1 }
}

/** Runs a test in a world of its own. */
fun world(http: Http, gateway: Gateway = OneGateway.shared, test: suspend CoroutineScope.(World) -> Unit): Unit =
    World(http, gateway).use { world ->
        runBlocking(Dispatchers.Default) { withTimeout(120.seconds) { test(world) } }
    }

/** One collection of a watch, told apart into what came. */
class Watching(scope: CoroutineScope, client: VerigateClient, id: String, after: Long = 0, follow: Boolean = false) {
    private val updates = Channel<StatusUpdate>(Channel.UNLIMITED)
    private val lines = Channel<Line>(Channel.UNLIMITED)
    private val end = CompletableDeferred<Result<Unit>>()

    /** Each [hold] is awaited before an update is taken. */
    @Volatile
    var hold: Job? = null

    private val job = scope.launch {
        end.complete(
            runCatching {
                client.watch(id, after, follow) { lines.trySend(it) }.collect {
                    updates.send(it)
                    hold?.join()
                }
            },
        )
    }

    /** The next update. */
    suspend fun next(): StatusUpdate = withTimeout(60.seconds) { updates.receive() }

    /** What was yielded and not looked at, once the watch has ended by itself. */
    suspend fun rest(): List<StatusUpdate> {
        withTimeout(60.seconds) { end.await() }.getOrThrow()
        return generateSequence { updates.tryReceive().getOrNull() }.toList()
    }

    /** Why it failed. */
    suspend fun failure(): Throwable? = withTimeout(60.seconds) { end.await() }.exceptionOrNull()

    /** The lines up to the first that fits, which is the last. */
    suspend fun lines(fits: (Line) -> Boolean): List<Line> = withTimeout(60.seconds) {
        val seen = mutableListOf<Line>()
        do {
            seen += lines.receive()
        } while (!fits(seen.last()))
        seen
    }

    /** The next pause. */
    suspend fun pause(): Line.Waiting = lines { it is Line.Waiting }.last() as Line.Waiting

    suspend fun cancel() = job.cancelAndJoin()
}

/** The request of a stream, without Connect's envelope of five bytes. */
fun FaultProxy.Seen.watchRequest(): WatchStatusRequest = request.let { WatchStatusRequest.parseFrom(it.copyOfRange(5, it.size)) }

val StatusUpdate.isPass: Boolean get() = result.name == "VERIFICATION_RESULT_PASS"
