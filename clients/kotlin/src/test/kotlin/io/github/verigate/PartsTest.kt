package io.github.verigate

import com.connectrpc.Code
import com.connectrpc.ConnectErrorDetail
import com.connectrpc.ConnectException
import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.Verification
import java.io.IOException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import okio.Buffer
import okio.ByteString.Companion.decodeHex
import okio.ByteString.Companion.encodeUtf8
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** The parts that need no gateway. */
class PartsTest {
    private fun asked(hex: String, type: String = "google.rpc.RetryInfo", vararg headers: Pair<String, String>): Duration {
        val metadata = (headers.toMap() + ("x" to "y")).mapValues { listOf(it.value) }
        val failed = ConnectException(Code.RESOURCE_EXHAUSTED, "slow down", metadata = metadata)
            .withErrorDetails(JavaLite.errorDetailParser(), listOf(ConnectErrorDetail(type, hex.decodeHex())))
        return judge(failed).askedPause
    }

    @Test
    fun `a RetryInfo says how long to wait`() {
        // retry_delay (field 1) with seconds (1) and nanos (2); an unknown field before it.
        assertEquals(1.5.seconds, asked("0a0808011080cab5ee01"))
        assertEquals(3.seconds, asked("1005" + "0a020803"))
        assertEquals(3.seconds, asked("0a020803", type = "type.googleapis.com/google.rpc.RetryInfo"))
        assertEquals(Duration.ZERO, asked("0a020803", type = "google.rpc.ErrorInfo"))
        assertEquals(Duration.ZERO, asked("0aff"))
        assertEquals(Duration.ZERO, asked(""))
        assertEquals(5.minutes, asked("0a0308e807"))
        // -1 s.
        assertEquals(Duration.ZERO, asked("0a0b08ffffffffffffffffff01"))
        assertEquals(7.seconds, asked("0a020803", headers = arrayOf("retry-after" to "7")))
        assertEquals(3.seconds, asked("0a020803", headers = arrayOf("retry-after" to "Sun, 06 Nov 1994 08:49:37 GMT")))
        assertEquals(3.seconds, asked("0a020803", headers = arrayOf("retry-after" to "-7")))
    }

    @Test
    fun `only an answer is the gateway's verdict`() {
        val torn = judge(ConnectException(Code.INVALID_ARGUMENT, "torn", IOException("reset")))
        assertEquals("unavailable", torn.code)
        assertEquals("reset", torn.cause?.message)
        val page = judge(ConnectException(Code.UNKNOWN, "<".repeat(5000)), mapOf("content-type" to listOf("text/html")))
        assertEquals("unknown", page.code)
        assertEquals(500, page.message.length)
        val headers = mapOf("content-type" to listOf("application/proto"))
        assertEquals("unavailable", judge(ConnectException(Code.UNKNOWN, null, IOException("reset")), headers).code)
        assertEquals("unknown", judge(ConnectException(Code.UNKNOWN), headers).code)
        val late = judge(ConnectException(Code.DEADLINE_EXCEEDED, null, IOException("canceled")), headers)
        assertEquals("deadline_exceeded: the gateway did not answer in time", "${late.code}: ${late.message}")
    }

    @Test
    fun `pauses double up to half a minute, jittered in full`() {
        val most = Pauses { 1.0 }
        val doubling = listOf(250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000).map { it.milliseconds }
        assertEquals(doubling, List(9) { most.afterFailure(Duration.ZERO) })
        most.reset()
        assertEquals(250.milliseconds, most.afterFailure(Duration.ZERO))
        assertEquals(Duration.ZERO, Pauses { 0.0 }.afterFailure(Duration.ZERO))
        assertEquals(9.25.seconds, Pauses { 1.0 }.afterFailure(9.seconds))
    }

    @Test
    fun `one quick drain is obeyed, several grow the pause`() {
        val pauses = Pauses { 1.0 }
        assertEquals(100.milliseconds, pauses.afterDrain(100.milliseconds, quick = true))
        pauses.reset()
        assertEquals(600.milliseconds, pauses.afterDrain(100.milliseconds, quick = true))
        assertEquals(1.1.seconds, pauses.afterDrain(100.milliseconds, quick = true))
        assertEquals(100.milliseconds, pauses.afterDrain(100.milliseconds, quick = false))
        assertEquals(100.milliseconds, pauses.afterDrain(100.milliseconds, quick = true))
        assertEquals(9.5.seconds, pauses.afterDrain(9.seconds, quick = true))
    }

    private fun update(version: Long, terminal: Boolean = false): StatusUpdate =
        StatusUpdate.newBuilder().setVersion(version).setTerminal(terminal).build()

    @Test
    fun `news is what is newer, and a terminal state`() {
        val progress = Progress(afterVersion = 2, followRevisions = false)
        assertFalse(progress.isNews(update(2)))
        assertTrue(progress.isNews(update(3)))
        assertFalse(progress.isNews(update(3)))
        assertTrue(progress.isNews(update(5, terminal = true)))
        assertTrue(progress.isOver(update(5, terminal = true)))
        assertTrue(Progress(9, followRevisions = false).isNews(update(5, terminal = true)))
        val following = Progress(5, followRevisions = true)
        assertTrue(following.isNews(update(5, terminal = true)))
        assertFalse(following.isNews(update(5, terminal = true)))
        assertTrue(following.isNews(update(6, terminal = true)))
        assertFalse(following.isOver(update(6, terminal = true)))
    }

    @Test
    fun `a state that is not known yet is carried on`() {
        val unknown = Verification.newBuilder().setId("a").setStateValue(77).setResultValue(1).setVersion(3).build()
        val update = unknown.toStatusUpdate(first = true)
        assertEquals(77, update.stateValue)
        assertFalse(update.terminal)
        assertTrue(Verification.newBuilder().setResultValue(3).build().toStatusUpdate(first = false).terminal)
        assertFalse(Verification.newBuilder().setResultValue(88).build().toStatusUpdate(first = false).terminal)
    }

    @Test
    fun `what is no message is an error, and what is not ours has no codec`() {
        val broken = assertThrows<ConnectException> {
            JavaLite.codec(StatusUpdate::class).deserialize(Buffer().write("\u00ff".encodeUtf8()))
        }
        assertEquals("the answer is no StatusUpdate", broken.message)
        val foreign = assertThrows<IllegalArgumentException> { JavaLite.codec(Verification::class) }
        assertTrue("add it to JavaLite" in foreign.message!!)
    }

    @Test
    fun `a cause is kept for the log`() {
        val cause = IOException("reset")
        val failed = VerigateException("unavailable", "gone", cause)
        assertSame(cause, failed.cause)
        assertEquals("VerigateException: unavailable: gone", failed.toString())
    }
}
