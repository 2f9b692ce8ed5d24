package io.github.verigate

import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DisplayName
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.extension.ExtendWith

/** What a watch does when the line breaks, in every way in which one can. */
@ExtendWith(OneGateway::class)
abstract class BrokenLineScenarios(private val http: Http) {
    @Test
    @DisplayName("a cut connection is resumed from the last version")
    fun cut() = resumes("cut")

    @Test
    @DisplayName("a truncated stream that looks complete is resumed")
    fun truncated() = resumes("truncate")

    @Test
    @DisplayName("a stream that ends well without a terminal message is resumed")
    fun endedWell() = resumes("end")

    @Test
    @DisplayName("a stalled stream is noticed after three heartbeats")
    fun stalled() = resumes("stall", silent = true)

    @Test
    @DisplayName("a half-open connection is noticed after three heartbeats")
    fun halfOpen() = resumes("half_open", silent = true)

    @Test
    @DisplayName("a dead connection is not used again, though another watch holds it")
    fun sharedConnection() = world(http) { world ->
        val client = world.client(ALERT)
        val busy = Watching(this, client, world.start())
        busy.hold = CompletableDeferred<Unit>()
        busy.next()
        val watching = Watching(this, client, world.start())
        watching.next()
        world.proxy.calls(begun = 2, open = 2, messages = 1)
        world.proxy.breakNow("half_open")
        watching.pause()
        // The first try gets through.
        assertTrue(watching.lines { it == Line.Live }.none { it is Line.Waiting })
        watching.cancel()
        busy.cancel()
    }

    private fun resumes(fault: String, silent: Boolean = false) = world(http) { world ->
        val id = world.start()
        val watching = Watching(this, world.client(if (silent) ALERT else CALM), id)
        val first = watching.next()
        world.proxy.breakNow(fault)
        val pause = watching.pause()
        assertTrue(pause.retryIn <= 250.milliseconds) { "$pause" }
        val calls = world.proxy.calls(begun = 2, open = 1, messages = 1)
        assertEquals(listOf(http.seen, http.seen), calls.map { it.http })
        assertEquals(first.version, calls[1].watchRequest().afterVersion)
        if (silent) {
            assertEquals("unavailable: no message for three heartbeats", pause.reason)
            val lived = checkNotNull(calls[0].ended) - calls[0].began
            assertTrue(lived.milliseconds >= ALERT * 3) { "given up after $lived ms" }
        } else {
            assertNotEquals("unavailable: no message for three heartbeats", pause.reason)
        }
        world.gateway.complete(id, "pass")
        val rest = watching.rest()
        assertTrue(rest.last().isPass)
        assertTrue(rest.all { it.version > first.version })
    }

    @Test
    @DisplayName("pauses grow with each failure and are reset by a message, not by a connection")
    fun pauses() = world(http) { world ->
        world.proxy.breaks(rule("refuse", times = 1), rule("stall", times = 1))
        val watching = Watching(this, world.client(ALERT, Seams(random = { 0.5 })), world.start())
        // Half of 250 ms, then twice that: the stalled stream had a connection, but no message.
        assertEquals(125.milliseconds, watching.pause().retryIn)
        assertEquals(250.milliseconds, watching.pause().retryIn)
        watching.lines { it == Line.Live }
        world.proxy.breaks(rule("refuse", procedure = ""))
        world.proxy.breakNow("cut")
        for (tries in 0..4) assertEquals(125.milliseconds * (1 shl tries), watching.pause().retryIn)
        watching.cancel()
    }

    @Test
    @DisplayName("a server that asks to wait is given the time")
    fun asksToWait() = world(http) { world ->
        world.proxy.breaks(
            rule("status", 1, 0, WATCH, "status" to 503, "body" to "<html>deploying</html>", "retry_after" to "1"),
            rule("error", 1, 0, WATCH, "code" to "resource_exhausted", "message" to "too many watchers", "retry_after" to "2"),
        )
        val held = Held()
        val watching = Watching(this, world.client(listener = held), world.start())
        assertTrue(watching.pause().retryIn in 1.seconds..1.25.seconds)
        val second = watching.pause()
        assertTrue(second.retryIn in 2.seconds..2.5.seconds)
        assertEquals("resource_exhausted: too many watchers", second.reason)
        watching.next()
        val began = world.proxy.calls(begun = 3).map { it.began }
        assertTrue(began[1] - began[0] >= 1000) { "$began" }
        assertTrue(began[2] - began[1] >= 2000) { "$began" }
        watching.cancel()
        // A stream that was answered with a page leaves nothing behind, either.
        held.none()
    }

    @Test
    @DisplayName("when streams keep failing it polls, and later tries a stream again")
    fun polls() = world(http) { world ->
        val id = world.start()
        world.proxy.breaks(rule("truncate", times = 3), rule("status", 1, 0, WATCH, "status" to 502))
        val watching = Watching(this, world.client(seams = Seams(firstPolling = 2.seconds)), id)
        assertEquals(3, watching.lines { it == Line.Polling }.count { it == Line.Connecting })
        val first = watching.next()
        // The next stream fails again: back to polls. The one after it lives.
        watching.lines { it == Line.Connecting }
        watching.lines { it == Line.Polling }
        watching.lines { it == Line.Live }
        assertEquals(first.version, world.proxy.calls(begun = 5, messages = 1).last().watchRequest().afterVersion)
        world.gateway.complete(id, "pass")
        assertTrue(watching.rest().last().isPass)
    }

    @Test
    @DisplayName("when a poll fails too, the next attempt is a stream")
    fun outage() = world(http) { world ->
        val id = world.start()
        world.proxy.breaks(rule("refuse", times = 3), rule("refuse", 1, 0, GET))
        val watching = Watching(this, world.client(ALERT), id)
        watching.lines { it == Line.Live }
        assertEquals(1, world.proxy.calls(GET, begun = 1).size)
        assertEquals(4, world.proxy.calls(begun = 4, messages = 1).size)
        watching.cancel()
    }

    @Test
    @DisplayName("polls alone bring a watch to its end")
    fun pollsOnly() = world(http) { world ->
        val id = world.start()
        world.proxy.breaks(rule("buffer"), rule("status", 1, 0, GET, "status" to 502))
        val watching = Watching(this, world.client(ALERT), id)
        watching.lines { it == Line.Polling }
        assertTrue(watching.pause().reason.startsWith("unavailable"))
        val first = watching.next()
        // A long poll is open now and answers the change.
        world.proxy.calls(GET, begun = 3, open = 1)
        world.gateway.complete(id, "pass")
        val rest = watching.rest()
        assertTrue(rest.last().terminal && rest.last().isPass)
        assertTrue(rest.all { it.version > first.version && it.verificationId == id && it.hasUpdateTime() })
    }
}

class BrokenLineOverHttp1Test : BrokenLineScenarios(Http.ONE)

class BrokenLineOverHttp2Test : BrokenLineScenarios(Http.TWO)
