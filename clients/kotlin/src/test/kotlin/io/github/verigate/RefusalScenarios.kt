package io.github.verigate

import java.io.File
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.flow.collect
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DisplayName
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.extension.ExtendWith

/** What happens when the gateway says no. */
@ExtendWith(OneGateway::class)
abstract class RefusalScenarios(private val http: Http) {
    @Test
    @DisplayName("an error that retrying cannot heal ends the watch")
    fun final() = world(http) { world ->
        val id = world.start()
        val codes = listOf(
            "unauthenticated", "permission_denied", "not_found", "invalid_argument", "out_of_range", "unimplemented",
        )
        codes.forEachIndexed { index, code ->
            world.proxy.breaks(rule("error", 1, 0, WATCH, "code" to code, "message" to "no, because"))
            val refused = assertThrows<VerigateException> { world.client().watch(id).collect { } }
            assertEquals(code to "no, because", refused.code to refused.message)
            assertEquals(index + 1, world.proxy.calls(open = 0).size)
        }
        // The gateway's own, and one that meets a poll.
        val unknown = Watching(this, world.client(), "01890000-0000-7000-8000-000000000000")
        assertEquals("not_found", (unknown.failure() as VerigateException).code)
        assertEquals(listOf(Line.Connecting, Line.Ended), unknown.lines { it == Line.Ended })
        world.proxy.breaks(rule("refuse"), rule("error", 1, 0, GET, "code" to "permission_denied"))
        assertEquals("permission_denied", (Watching(this, world.client(), id).failure() as VerigateException).code)
    }

    @Test
    @DisplayName("a token is asked for anew when it is refused")
    fun token() = world(http) { world ->
        val id = world.start()
        val asked = AtomicInteger()
        val renewing = TokenSource(renews = true) { if (asked.incrementAndGet() == 1) "old" else world.gateway.apiKey }
        val watching = Watching(this, world.client(token = renewing), id)
        watching.next()
        assertTrue(watching.lines { it == Line.Live }.none { it is Line.Waiting })
        val seen = world.proxy.calls(begun = 2).map { it.authorization }
        assertEquals(listOf("Bearer old", "Bearer ${world.gateway.apiKey}"), seen)
        watching.cancel()
        // Refused twice in a row, or no other to be had: that is the answer.
        val hopeless = Watching(this, world.client(token = TokenSource(renews = true) { "wrong" }), id)
        assertEquals("unauthenticated", (hopeless.failure() as VerigateException).code)
        assertEquals(4, world.proxy.calls(begun = 4, open = 0).size)
        val fixed = Watching(this, world.client(token = TokenSource(renews = false) { "wrong" }), id)
        assertEquals("unauthenticated", (fixed.failure() as VerigateException).code)
        assertEquals(5, world.proxy.calls(begun = 5, open = 0).size)
    }

    @Test
    @DisplayName("a token function that fails or hands out rubbish is no crash")
    fun tokenTrouble() = world(http) { world ->
        val id = world.start()
        val asked = AtomicInteger()
        val failing = TokenSource(renews = true) {
            if (asked.incrementAndGet() == 1) error("no network for the session") else world.gateway.apiKey
        }
        val watching = Watching(this, world.client(token = failing), id)
        assertEquals("unavailable: token: the function failed", watching.pause().reason)
        watching.next()
        watching.cancel()
        val rubbish = world.client(token = TokenSource(renews = true) { "two\nlines" })
        val refused = assertThrows<VerigateException> { rubbish.get(id) }
        assertEquals("unauthenticated", refused.code)
        assertFalse("two" in refused.toString() || "lines" in refused.message.substringBefore("line ends"))
    }

    @Test
    @DisplayName("a call that the gateway refuses says why")
    fun refused() = world(http) { world ->
        val client = world.client()
        val noFlow = assertThrows<VerigateException> { client.start("no-such-flow", subject = "kotlin") }
        assertEquals("not_found", noFlow.code)
        assertTrue("flow" in noFlow.message) { noFlow.message }
        val noSubject = assertThrows<VerigateException> { client.start("kyc") }
        assertEquals("invalid_argument", noSubject.code)
        assertTrue("subject" in noSubject.message) { noSubject.message }
        val noId = assertThrows<VerigateException> { client.get("no-uuid") }
        assertEquals("invalid_argument", noId.code)
        assertTrue("id" in noId.message) { noId.message }
        assertEquals("not_found", assertThrows<VerigateException> { client.getByReference("nobody's") }.code)
        // A page of an intermediary, and no answer at all.
        world.proxy.breaks(rule("status", 1, 0, GET, "status" to 503, "body" to "<html>"), rule("refuse", procedure = GET))
        assertEquals("unavailable", assertThrows<VerigateException> { client.get("x") }.code)
        val nobody = assertThrows<VerigateException> { client.get("x") }
        assertEquals("unavailable: no complete answer from the gateway", "${nobody.code}: ${nobody.message}")
    }
}

class RefusalOverHttp1Test : RefusalScenarios(Http.ONE)

class RefusalOverHttp2Test : RefusalScenarios(Http.TWO)

/** The program that a developer reads first. */
class TenLinesTest {
    @Test
    @DisplayName("the ten-line program survives a server restart and prints the one right result")
    fun tenLines() = Gateway().use { gateway ->
        val source = File("src/test/kotlin/io/github/verigate/examples/TenLines.kt").readLines()
        assertTrue(source.count { it.isNotBlank() && !it.startsWith("//") } <= 10)
        world(Http.ONE, gateway) { world ->
            val program = program(world)
            try {
                val id = world.proxy.calls(begun = 1, open = 1, messages = 1).single().watchRequest().id
                val open = world.direct().get(id)
                gateway.stop()
                gateway.startAgain()
                gateway.approve(open)
                assertEquals("pass\n", program.inputStream.bufferedReader().readText())
                assertTrue(program.waitFor(60, TimeUnit.SECONDS))
                assertEquals(0, program.exitValue())
                assertTrue(world.proxy.calls(open = 0).size > 1)
            } finally {
                program.destroy()
            }
        }
    }

    private fun program(world: World): Process {
        val java = File(System.getProperty("java.home"), "bin/java").path
        // Surefire keeps the class path to itself.
        val classPath = System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path")
        val command = ProcessBuilder(java, "-cp", classPath, "io.github.verigate.examples.TenLinesKt")
            .redirectError(ProcessBuilder.Redirect.DISCARD)
        command.environment() += mapOf("VERIGATE_URL" to world.proxy.url, "VERIGATE_API_KEY" to world.gateway.apiKey)
        return command.start()
    }
}
