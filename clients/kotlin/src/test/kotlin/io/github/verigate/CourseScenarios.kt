package io.github.verigate

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DisplayName
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.extension.ExtendWith

/** What a watch yields when all goes well, and when the gateway itself goes and comes. */
@ExtendWith(OneGateway::class)
abstract class CourseScenarios(private val http: Http) {
    @Test
    @DisplayName("the first message is the current state")
    fun first() = world(http) { world ->
        val id = world.start()
        val now = world.direct().get(id)
        val first = Watching(this, world.client(), id).also { world.proxy.calls(begun = 1) }
        with(first.next()) {
            assertEquals(id, verificationId)
            assertEquals(now.version, version)
            assertEquals(now.state, state)
        }
        assertEquals(http.seen, world.proxy.calls().single().http)
        // Who has seen that version is told nothing, until there is something new.
        val informed = Watching(this, world.client(), id, after = now.version)
        informed.lines { it == Line.Live }
        world.gateway.complete(id, "pass")
        assertTrue(informed.next().version > now.version)
        first.cancel()
        informed.cancel()
    }

    @Test
    @DisplayName("each version is yielded once and in order")
    fun order() = world(http) { world ->
        val id = world.start()
        val watching = Watching(this, world.client(), id)
        val versions = mutableListOf(watching.next().version)
        // Heartbeats, and then a repeated snapshot, none of which is news.
        world.proxy.calls(messages = 3)
        world.proxy.breakNow("cut")
        world.proxy.calls(begun = 2, messages = 2)
        world.gateway.complete(id, "fail")
        versions += watching.rest().map { it.version }
        assertEquals(versions.distinct().sorted(), versions)
        assertTrue(versions.size >= 2)
        assertEquals(world.direct().get(id).version, versions.last())
    }

    @Test
    @DisplayName("a watch ends after a terminal message")
    fun end() = world(http) { world ->
        val id = world.start()
        val watching = Watching(this, world.client(), id)
        watching.next()
        world.gateway.complete(id, "pass")
        val last = watching.rest().last()
        assertTrue(last.terminal && last.isPass)
        watching.lines { it == Line.Ended }
        assertEquals(1, world.proxy.calls(open = 0).size)
        // Over already: the one message, even for who has seen its version.
        val again = world.client().watch(id, afterVersion = last.version).toList()
        assertEquals(listOf(last.version), again.map { it.version })
        assertTrue(again.single().terminal)
    }

    @Test
    @DisplayName("a drain is obeyed")
    fun drain() = Gateway(maxStreamAge = "1s").use { gateway ->
        world(http, gateway) { world ->
            val id = world.start()
            val watching = Watching(this, world.client(seams = Seams(random = { 0.0 })), id)
            val first = watching.next()
            repeat(3) {
                val pause = watching.pause()
                assertEquals("the gateway drains", pause.reason)
                assertTrue(pause.retryIn in Duration.ZERO..5.seconds) { "$pause" }
            }
            val calls = world.proxy.calls(begun = 4)
            for (call in calls.drop(1)) assertEquals(first.version, call.watchRequest().afterVersion)
            gateway.complete(id, "pass")
            assertTrue(watching.rest().last().isPass)
        }
    }

    @Test
    @DisplayName("a server restart in the middle is survived")
    fun restart() = Gateway().use { gateway ->
        world(http, gateway) { world ->
            val id = world.start()
            val watching = Watching(this, world.client(), id)
            val first = watching.next()
            val open = world.direct().get(id)
            gateway.stop()
            gateway.startAgain()
            gateway.approve(open)
            val rest = watching.rest()
            assertTrue(rest.last().isPass)
            assertTrue(rest.all { it.version > first.version })
            assertEquals(rest.map { it.version }.distinct().sorted(), rest.map { it.version })
        }
    }

    @Test
    @DisplayName("followed revisions are yielded and the watch goes on")
    fun revisions() = world(http) { world ->
        val id = world.start()
        val watching = Watching(this, world.client(), id, follow = true)
        world.gateway.complete(id, "pass")
        while (!watching.next().terminal) Unit
        // The terminal snapshot of a new stream is no news.
        world.proxy.breakNow("cut")
        world.proxy.calls(begun = 2, messages = 2)
        world.gateway.decline(id)
        val revised = watching.next()
        assertTrue(revised.terminal && !revised.isPass)
        assertTrue(world.proxy.calls(begun = 2, open = 1).last().watchRequest().followRevisions)
        watching.cancel()
    }
}

class CourseOverHttp1Test : CourseScenarios(Http.ONE)

class CourseOverHttp2Test : CourseScenarios(Http.TWO)
