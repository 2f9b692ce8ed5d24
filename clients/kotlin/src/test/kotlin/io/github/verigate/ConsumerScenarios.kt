package io.github.verigate

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DisplayName
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.extension.ExtendWith

/** What a consumer may do, and what an app's coming and going does. */
@ExtendWith(OneGateway::class)
abstract class ConsumerScenarios(private val http: Http) {
    @Test
    @DisplayName("stopping the consumer cancels the call")
    fun stopping() = world(http) { world ->
        val id = world.start()
        world.client().watch(id).first()
        assertEquals(1, world.proxy.calls(begun = 1, open = 0).size)
    }

    @Test
    @DisplayName("cancelling from outside cancels the call")
    fun cancelling() = world(http) { world ->
        val id = world.start()
        val client = world.client()
        val watching = Watching(this, client, id)
        watching.next()
        world.proxy.calls(begun = 1, open = 1)
        watching.cancel()
        world.proxy.calls(begun = 1, open = 0)
        // And before there is anything to read.
        world.proxy.breaks(rule("stall"))
        val waiting = Watching(this, client, id)
        world.proxy.calls(begun = 2, open = 1)
        waiting.cancel()
        world.proxy.calls(begun = 2, open = 0)
        waiting.lines { it == Line.Ended }
    }

    @Test
    @DisplayName("an exception of the consumer passes through and cancels the call")
    fun throwing() = world(http) { world ->
        val id = world.start()
        val own = VerigateException("unavailable", "the consumer's own")
        val thrown = assertThrows<VerigateException> { world.client().watch(id).collect { throw own } }
        assertSame(own, thrown)
        assertEquals(1, world.proxy.calls(begun = 1, open = 0).size)
    }

    @Test
    @DisplayName("a consumer that hangs can be cancelled, and the call with it")
    fun hanging() = world(http) { world ->
        val held = Held()
        val watching = Watching(this, world.client(listener = held), world.start())
        watching.hold = CompletableDeferred<Unit>()
        watching.next()
        // More messages than fit between the socket and the consumer: the reader waits to hand over.
        world.proxy.calls(begun = 1, messages = 5)
        watching.cancel()
        world.proxy.calls(begun = 1, open = 0)
        held.none()
    }

    @Test
    @DisplayName("a slow consumer loses nothing and is not taken for a dead line")
    fun slow() = world(http) { world ->
        val id = world.start()
        val watching = Watching(this, world.client(), id)
        val release = CompletableDeferred<Unit>()
        watching.hold = release
        val first = watching.next()
        world.gateway.complete(id, "pass")
        // Ended by the gateway long ago, or far more than three heartbeats busy.
        world.proxy.calls(begun = 1, messages = 2)
        val busy = Watching(this, world.client(ALERT), world.start())
        busy.hold = release
        busy.next()
        world.proxy.calls(begun = 2, messages = 9)
        release.complete(Unit)
        val rest = watching.rest()
        assertTrue(rest.last().isPass)
        val versions = listOf(first.version) + rest.map { it.version }
        assertEquals(versions.distinct().sorted(), versions)
        busy.lines { it == Line.Live }
        assertEquals(2, world.proxy.calls(messages = 11).size)
        busy.cancel()
    }

    @Test
    @DisplayName("in the background silence is no alarm")
    fun background() = world(http) { world ->
        val client = world.client(ALERT)
        val watching = Watching(this, client, world.start())
        watching.next()
        client.pause()
        val awake = Watching(this, world.client(ALERT), world.start())
        awake.next()
        world.proxy.calls(begun = 2, open = 2, messages = 1)
        world.proxy.breakNow("stall")
        // Who is awake finds out; who is not would have done so before.
        awake.pause()
        val calls = world.proxy.calls(begun = 3, messages = 1)
        assertNull(calls.first().ended)
        awake.cancel()
        client.resume()
        world.proxy.calls(begun = 4, open = 1)
        watching.cancel()
    }

    @Test
    @DisplayName("back in the foreground the stream is opened anew at once")
    fun foreground() = world(http) { world ->
        val id = world.start()
        // A pause would be seen: it lasts minutes.
        val client = world.client(seams = Seams(random = { 1000.0 }))
        val watching = Watching(this, client, id)
        val first = watching.next()
        client.pause()
        world.proxy.breakNow("half_open")
        client.resume()
        val calls = world.proxy.calls(begun = 2, open = 1, messages = 1)
        assertEquals(first.version, calls.last().watchRequest().afterVersion)
        assertTrue(watching.lines { it == Line.Live }.none { it is Line.Waiting })
        // A return also ends a long pause.
        world.proxy.breakNow("cut")
        watching.pause()
        client.resume()
        watching.lines { it == Line.Live }
        world.gateway.complete(id, "pass")
        assertTrue(watching.rest().last().isPass)
    }

    @Test
    @DisplayName("back in the foreground other calls leave a dead connection, too")
    fun foregroundCalls() = world(http) { world ->
        val id = world.start()
        val client = world.client()
        client.get(id)
        world.proxy.breaks(rule("half_open", times = 1, procedure = GET))
        val stuck = launch { client.get(id) }
        world.proxy.calls(GET, begun = 2, open = 1)
        client.resume()
        assertEquals(id, client.get(id).id)
        assertTrue(stuck.isActive)
        stuck.cancel()
    }

    @Test
    @DisplayName("several watches at once do not hold up other calls")
    fun several() = world(http) { world ->
        val client = world.client()
        val id = world.start()
        val streams = List(MANY) { Watching(this, client, id) }
        streams.forEach { it.next() }
        world.proxy.calls(open = MANY)
        assertEquals(id, client.get(id).id)
        assertTrue(client.start("kyc", subject = "kotlin").hostedUrl.isNotEmpty())
        streams.forEach { it.cancel() }
        world.proxy.calls(open = 0)
        // As many that poll, and hold a call each, do not either.
        world.proxy.breaks(rule("refuse"))
        val polls = List(MANY) { Watching(this, client, id) }
        polls.forEach { it.next() }
        world.proxy.calls(GET, open = MANY)
        assertEquals(id, client.get(id).id)
        polls.forEach { it.cancel() }
    }

    private companion object {
        const val MANY = 20
    }
}

class ConsumerOverHttp1Test : ConsumerScenarios(Http.ONE)

class ConsumerOverHttp2Test : ConsumerScenarios(Http.TWO)
