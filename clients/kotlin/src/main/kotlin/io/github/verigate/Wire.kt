package io.github.verigate

import com.connectrpc.ProtocolClientConfig
import com.connectrpc.impl.ProtocolClient
import com.connectrpc.okhttp.ConnectOkHttpClient
import com.connectrpc.simpleTimeouts
import io.github.verigate.v1.VerificationServiceClient
import java.util.concurrent.SynchronousQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicReference
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.Dispatchers
import okhttp3.ConnectionPool
import okhttp3.Dispatcher
import okhttp3.OkHttpClient

/** The deadline of a unary call. Streams have none. */
internal val UNARY_DEADLINE = 30.seconds

/** The generated client over one set of connections. */
internal class Wire(private val unary: OkHttpClient, private val streams: OkHttpClient, baseUrl: String) {
    val service: VerificationServiceClient = VerificationServiceClient(
        ProtocolClient(
            ConnectOkHttpClient(unary, streams),
            ProtocolClientConfig(
                host = baseUrl,
                serializationStrategy = JavaLite,
                // Nothing that touches a socket may run on Android's main thread.
                ioCoroutineContext = Dispatchers.IO,
                // The default would end everything, streams included, after 10 s.
                timeoutOracle = simpleTimeouts(unaryTimeout = UNARY_DEADLINE, streamTimeout = null),
            ),
        ),
    )

    /** Lets go of the connections that nothing uses; the others go with their last call. */
    fun retire() {
        unary.connectionPool.evictAll()
        streams.connectionPool.evictAll()
    }
}

/**
 * Makes wires and holds the current one. A wire whose connection fell silent is
 * replaced, not reused: on HTTP/2 a new stream would be put on the same dead
 * connection until a ping finds out.
 *
 * Streams and unary calls have threads of their own, because OkHttp lets five
 * calls at a time through to one host and a stream is one all its life: with
 * OkHttp's own settings the sixth watch and every other call would queue. The
 * number is also raised for unary calls, since long polls last.
 */
internal class Wires(private val baseUrl: String, private val base: OkHttpClient) {
    private val unaryDispatcher = dispatcher("verigate-unary")
    private val streamDispatcher = dispatcher("verigate-stream")
    private val holder = AtomicReference(makeWire())

    /** The wire for the next call. */
    val current: Wire get() = holder.get()

    /** Replaces [stale] unless somebody else already has. */
    fun renew(stale: Wire) {
        if (holder.get() === stale && holder.compareAndSet(stale, makeWire())) stale.retire()
    }

    /** Cancels every call and ends the threads. The app's own client is not touched. */
    fun close() {
        for (dispatcher in listOf(unaryDispatcher, streamDispatcher)) {
            dispatcher.cancelAll()
            dispatcher.executorService.shutdown()
        }
        current.retire()
    }

    private fun makeWire() = Wire(
        client(unaryDispatcher, ConnectionPool(IDLE_UNARY, IDLE_MINUTES, TimeUnit.MINUTES)),
        // No idle connections: the one under a stream that was given up is closed with it.
        client(streamDispatcher, ConnectionPool(0, IDLE_MINUTES, TimeUnit.MINUTES)),
        baseUrl,
    )

    // What ConnectOkHttpClient.configureClient does is done here by hand: it needs
    // java.time, which Android has from API 26 on. Its other half, about status
    // 408, is for servers older than this gateway. Time limits of OkHttp's own would end quiet
    // streams; deadlines and the watchdog stand in for them. Pings are for HTTP/2 only.
    // A redirect would carry a start, with what it says of a person, to wherever it points.
    private fun client(dispatcher: Dispatcher, pool: ConnectionPool) = base.newBuilder()
        .dispatcher(dispatcher)
        .connectionPool(pool)
        .callTimeout(0, TimeUnit.SECONDS)
        .readTimeout(0, TimeUnit.SECONDS)
        .writeTimeout(0, TimeUnit.SECONDS)
        .followRedirects(false)
        .followSslRedirects(false)
        .pingInterval(PING_SECONDS, TimeUnit.SECONDS)
        .build()

    private companion object {
        const val IDLE_UNARY = 5
        const val IDLE_MINUTES = 1L
        const val PING_SECONDS = 20L
        const val MOST_CALLS = 256
        const val IDLE_THREAD_SECONDS = 60L

        // Daemons, so that a client that was not closed keeps no program alive.
        fun dispatcher(name: String): Dispatcher {
            val number = AtomicInteger()
            val threads = ThreadPoolExecutor(0, Int.MAX_VALUE, IDLE_THREAD_SECONDS, TimeUnit.SECONDS, SynchronousQueue()) {
                Thread(it, "$name-${number.incrementAndGet()}").apply { isDaemon = true }
            }
            return Dispatcher(threads).apply {
                maxRequests = MOST_CALLS
                maxRequestsPerHost = MOST_CALLS
            }
        }
    }
}
