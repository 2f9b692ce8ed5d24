package io.github.verigate

import io.github.verigate.v1.StartVerificationRequest
import java.io.IOException
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.TimeUnit
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlinx.coroutines.async
import kotlinx.coroutines.runBlocking
import okhttp3.ConnectionPool
import okhttp3.Interceptor
import okhttp3.OkHttpClient
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.extension.ExtendWith

/** The client as a whole: its calls, its options, its end. */
@ExtendWith(OneGateway::class)
class ClientTest {
    @Test
    fun `starts with what it is given and gets it back`() = world(Http.ONE) { world ->
        val client = world.client()
        val reference = "kotlin-${System.nanoTime()}"
        val started = client.start("kyc", "somebody", reference) { putMetadata("shop", "berlin") }
        assertTrue(started.hostedUrl.isNotEmpty() && started.clientToken.isNotEmpty())
        val got = client.getByReference(reference)
        assertEquals(started.verification.id, got.id)
        assertEquals(mapOf("shop" to "berlin"), got.metadataMap)
        // An app has the client token only.
        val app = world.client(token = TokenSource(false) { started.clientToken })
        assertEquals(got.id, app.get(got.id).id)
        Watching(this, app, got.id).apply { next() }.cancel()
    }

    @Test
    fun `makes an idempotency key unless there is one`() = world(Http.ONE) { world ->
        val client = world.client()
        val key = "key-${System.nanoTime()}"
        val own = StartVerificationRequest.newBuilder().setFlow("kyc").setSubject("a").setIdempotencyKey(key).build()
        assertEquals(client.start(own).verification.id, client.start(own).verification.id)
        assertNotEquals(client.start("kyc", "a").verification.id, client.start("kyc", "a").verification.id)
        val keys = world.proxy.calls("StartVerification").map { StartVerificationRequest.parseFrom(it.request).idempotencyKey }
        assertEquals(listOf(own.idempotencyKey, own.idempotencyKey), keys.take(2))
        assertTrue(keys[2].isNotEmpty() && keys[3].isNotEmpty() && keys[2] != keys[3])
    }

    @Test
    fun `uses the app's own client and leaves it alone`() = world(Http.ONE) { world ->
        val seen = CopyOnWriteArrayList<String>()
        val watcher = Interceptor { chain ->
            seen += chain.request().url.encodedPath.substringAfterLast('/')
            chain.proceed(chain.request())
        }
        val pool = ConnectionPool()
        val own = OkHttpClient.Builder()
            .connectionPool(pool)
            .addInterceptor(watcher)
            .callTimeout(1, TimeUnit.MILLISECONDS)
            .build()
        val id = world.start()
        VerigateClient(world.proxy.url, world.gateway.apiKey, VerigateOptions(CALM, own)).use { client ->
            client.get(id)
            // Its time limit of a millisecond does not end a stream.
            Watching(this, client, id).apply { next() }.cancel()
        }
        assertEquals(listOf(GET, WATCH), seen)
        assertEquals(0, pool.connectionCount())
        assertFalse(own.dispatcher.executorService.isShutdown)
    }

    @Test
    fun `a closed client ends what is open and starts nothing`() = world(Http.TWO) { world ->
        val id = world.start()
        val client = world.client()
        val live = Watching(this, client, id)
        live.next()
        val elsewhere = Watching(this, world.client(), id)
        elsewhere.next()
        client.close()
        assertEquals("canceled", (live.failure() as VerigateException).code)
        assertEquals("canceled", assertThrows<VerigateException> { client.get(id) }.code)
        assertEquals("canceled", (Watching(this, client, id).failure() as VerigateException).code)
        world.proxy.calls(begun = 2, open = 1)
        elsewhere.cancel()
    }

    @Test
    fun `a watch that waits ends with its client, too`() = world(Http.ONE) { world ->
        world.proxy.breaks(rule("refuse", procedure = ""))
        val client = world.client(seams = Seams(random = { 1000.0 }))
        val watching = Watching(this, client, "01890000-0000-7000-8000-000000000000")
        watching.pause()
        client.close()
        assertEquals("canceled", (watching.failure() as VerigateException).code)
    }

    @Test
    fun `a call that is under way ends with its client`() = world(Http.ONE) { world ->
        val id = world.start()
        world.proxy.breaks(rule("stall", procedure = GET))
        val client = world.client()
        val call = async { runCatching { client.get(id) } }
        world.proxy.calls(GET, begun = 1, open = 1)
        client.close()
        assertEquals("canceled", (call.await().exceptionOrNull() as VerigateException).code)
        world.proxy.calls(GET, begun = 1, open = 0)
    }

    @Test
    fun `an empty answer is not a verification`() = world(Http.ONE) { world ->
        val id = world.start()
        world.proxy.breaks(rule("truncate", procedure = GET))
        val failed = runCatching { world.client().get(id) }.exceptionOrNull()
        assertEquals("unavailable", (failed as VerigateException).code)
    }

    @Test
    fun `each collection is a watch of its own`() = world(Http.ONE) { world ->
        val id = world.start()
        val flow = world.client().watch(id)
        assertEquals(0, world.proxy.calls().size)
        world.gateway.complete(id, "pass")
        for (times in 1..2) {
            flow.collect { }
            assertTrue(world.proxy.calls(open = 0).size >= times)
        }
    }

    @Test
    fun `wrong options are named with a remedy`() {
        fun problem(make: () -> VerigateClient): String {
            val wrong = assertThrows<VerigateException> { make().close() }
            assertEquals("invalid_argument", wrong.code)
            return wrong.message
        }
        for (url in listOf("", "verify.example.com", "ftp://x", "https://user:pass@x", "https://x/?a=b", "https://x/#a")) {
            val text = problem { VerigateClient(url, "t") }
            assertTrue(text.startsWith("VerigateClient: baseUrl: give an absolute http or https URL")) { text }
            assertFalse("pass" in text)
        }
        assertTrue("token: it must not be empty" in problem { VerigateClient("https://x", "") })
        assertTrue("no header can carry" in problem { VerigateClient("https://x", "a\nsecret") })
        assertFalse("secret" in problem { VerigateClient("https://x", "a\nsecret") })
        for (heartbeat in listOf(99.milliseconds, 6.minutes)) {
            assertTrue("heartbeat: give 100ms to 5m" in problem { VerigateClient("https://x", "t", VerigateOptions(heartbeat)) })
        }
        VerigateClient("https://verify.example.com/behind/a/path/") { "t" }.close()
    }

    @Test
    fun `streams have no deadline, unary calls have 30 seconds`() = world(Http.ONE) { world ->
        val limits = CopyOnWriteArrayList<String>()
        val watcher = Interceptor { chain ->
            val deadline = chain.request().header("Connect-Timeout-Ms")
            limits += "deadline $deadline, reads ${chain.readTimeoutMillis()}, all ${chain.call().timeout().timeoutNanos()}"
            chain.proceed(chain.request())
        }
        val id = world.start()
        val own = VerigateOptions(CALM, OkHttpClient.Builder().addInterceptor(watcher).build())
        VerigateClient(world.proxy.url, world.gateway.apiKey, own).use {
            it.get(id)
            Watching(this, it, id).apply { next() }.cancel()
        }
        assertEquals(listOf("deadline 30000, reads 0, all 0", "deadline null, reads 0, all 0"), limits)
    }

    @Test
    fun `an address with a path keeps it`(): Unit = runBlocking {
        val paths = mutableListOf<String>()
        val watcher = Interceptor { chain ->
            paths += chain.request().url.encodedPath
            throw IOException("not sent")
        }
        val http = OkHttpClient.Builder().addInterceptor(watcher).build()
        VerigateClient("http://127.0.0.1:1/behind/", "t", VerigateOptions(okHttpClient = http)).use {
            assertEquals("unavailable", assertThrows<VerigateException> { it.get("x") }.code)
        }
        assertEquals(listOf("/behind/verigate.v1.VerificationService/GetVerification"), paths)
    }
}
