package io.github.verigate

import com.sun.net.httpserver.HttpServer
import java.net.InetAddress
import java.net.InetSocketAddress
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.atomic.AtomicInteger
import kotlin.coroutines.suspendCoroutine
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.async
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.extension.ExtendWith

/** What must neither hold a watch for ever nor make it hurry for ever. */
@ExtendWith(OneGateway::class)
class PersistenceTest {
    private val fixed = TokenSource(renews = false) { "t" }
    private val renewing = TokenSource(renews = true) { "t" }

    /** A function whose callback never comes, as one that cannot be cancelled either; it tells each time it is asked. */
    private class Hanging {
        val asked = Channel<Unit>(Channel.UNLIMITED)
        val source = TokenSource(renews = true) {
            asked.trySend(Unit)
            suspendCoroutine { }
        }

        suspend fun isAsked() = withTimeout(30.seconds) { asked.receive() }
    }

    @Test
    fun `a token function that hangs does not outlast a return or the client`() = world(Http.ONE) { world ->
        val hanging = Hanging()
        val client = world.client(token = hanging.source)
        // In the background nothing but the two ends the wait.
        client.pause()
        val watching = Watching(this, client, "x")
        hanging.isAsked()
        client.resume()
        client.pause()
        hanging.isAsked()
        val call = async { runCatching { client.get("x") } }
        hanging.isAsked()
        client.close()
        assertEquals("canceled", (watching.failure() as VerigateException).code)
        assertEquals("canceled", (call.await().exceptionOrNull() as VerigateException).code)
        assertTrue(watching.lines { it == Line.Ended }.none { it is Line.Waiting })
        assertEquals(0, world.proxy.calls().size)
    }

    @Test
    fun `a token function that hangs does not outlast its collector`() = world(Http.ONE) { world ->
        val hanging = Hanging()
        val watching = Watching(this, world.client(token = hanging.source), "x")
        hanging.isAsked()
        watching.cancel()
        watching.lines { it == Line.Ended }
    }

    @Test
    fun `a token function that hangs is given up like silence, for a stream and for a poll`() = world(Http.ONE) { world ->
        val asked = AtomicInteger()
        val late = "unavailable: token: the function did not answer in time"
        val token = TokenSource(renews = true) {
            if (asked.incrementAndGet() in setOf(1, 4)) suspendCoroutine { } else world.gateway.apiKey
        }
        world.proxy.breaks(rule("refuse", times = 2))
        val watching = Watching(this, world.client(ALERT, token = token), world.start())
        assertEquals(late, watching.pause().reason)
        // Two streams are refused, and the third that failed was the one above.
        watching.lines { it == Line.Polling }
        assertEquals(late, watching.pause().reason)
        watching.next()
        watching.cancel()
    }

    @Test
    fun `a token refused after each repeated snapshot is refused for good`(): Unit = runBlocking {
        val script = Script { messages(3).failing("unauthenticated") }
        script.client(renewing).use { client ->
            val seen = mutableListOf<Long>()
            val refused = withTimeout(30.seconds) {
                assertThrows<VerigateException> { client.watch("x").collect { seen += it.version } }
            }
            assertEquals("unauthenticated", refused.code)
            assertEquals(listOf(3L) to 2, seen to script.asked)
        }
    }

    @Test
    fun `news or a second message makes a refused token worth another try`(): Unit = runBlocking {
        val script = Script { number ->
            when (number) {
                1, 2 -> messages(number.toLong())
                3, 4 -> messages(2, 2)
                else -> messages(2)
            }.failing("unauthenticated")
        }
        script.client(renewing).use { client ->
            val refused = withTimeout(30.seconds) { assertThrows<VerigateException> { client.watch("x").collect { } } }
            assertEquals("unauthenticated" to 5, refused.code to script.asked)
        }
    }

    @Test
    fun `a repeated snapshot does not reset the pause, a second message does`() = world(Http.ONE) {
        val script = Script { number -> if (number == 4) messages(3, 3) else messages(3) }
        script.client(fixed, Seams(random = { 0.5 })).use { client ->
            val watching = Watching(this, client, "x")
            val pauses = List(5) { watching.pause().retryIn }
            assertEquals(listOf(125, 250, 500, 125, 250).map { it.milliseconds }, pauses)
            watching.cancel()
        }
    }

    @Test
    fun `a closed client hands nothing over any more`(): Unit = runBlocking {
        val client = Script { messages(1, 2, 3) }.client(fixed)
        val seen = mutableListOf<Long>()
        val closed = withTimeout(30.seconds) {
            assertThrows<VerigateException> {
                client.watch("x").collect {
                    seen += it.version
                    client.close()
                }
            }
        }
        assertEquals("canceled" to listOf(1L), closed.code to seen)
    }

    @Test
    fun `a redirect is not followed`() = world(Http.ONE) {
        val paths = CopyOnWriteArrayList<String>()
        val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
        server.createContext("/") { exchange ->
            paths += exchange.requestURI.path
            exchange.requestBody.readBytes()
            exchange.responseHeaders.add("Location", "/elsewhere")
            exchange.sendResponseHeaders(307, -1)
            exchange.close()
        }
        server.start()
        try {
            VerigateClient("http://127.0.0.1:${server.address.port}", "t").use { client ->
                val refused = assertThrows<VerigateException> { client.start("kyc", "somebody") }
                val clear = "unknown: unexpected HTTP status: a redirect, which is not followed"
                assertTrue("${refused.code}: ${refused.message}".startsWith(clear)) { "$refused" }
                val watching = Watching(this, client, "x")
                val reason = watching.pause().reason
                assertTrue(reason.startsWith(clear)) { reason }
                watching.cancel()
            }
        } finally {
            server.stop(0)
        }
        assertFalse("/elsewhere" in paths) { "$paths" }
    }
}
