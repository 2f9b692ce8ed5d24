package io.github.verigate

import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.util.Base64
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

const val WATCH = "WatchStatus"
const val GET = "GetVerification"

/** The proxy that breaks on command, clients/faultproxy. */
class FaultProxy(upstream: String) : AutoCloseable {
    private val served = Served(listOf(binary("FAULTPROXY_BINARY", ".tmp/faultproxy"), "--upstream", upstream))
    private val control = served.ready["control"] as String
    private val http = HttpClient.newHttpClient()

    val url: String = served.ready["url"] as String

    /** One call as the proxy saw it. */
    class Seen(private val fields: Map<*, *>) {
        val http: String get() = fields["http"] as String
        val began: Long get() = (fields["began_ms"] as Double).toLong()
        val ended: Long? get() = (fields["ended_ms"] as Double?)?.toLong()
        val messages: Int get() = (fields["messages"] as Double).toInt()
        val authorization: String get() = fields["authorization"] as String
        val request: ByteArray get() = Base64.getDecoder().decode(fields["request"] as String)
    }

    /** Replaces the rules; none clears them. */
    suspend fun breaks(vararg rules: Map<String, Any>) {
        send("PUT", "/faults", toJson(rules.toList()))
    }

    /** Hits the streams that are open. */
    suspend fun breakNow(fault: String) {
        val hit = json(send("POST", "/now", toJson(mapOf("procedure" to WATCH, "fault" to fault))))["hit"] as Double
        check(hit > 0) { "no open stream to hit" }
    }

    /** Waits until the record says so, and returns it, oldest first. */
    suspend fun calls(procedure: String = WATCH, begun: Int? = null, open: Int? = null, messages: Int? = null): List<Seen> {
        val wait = listOfNotNull(begun?.let { "begun=$it" }, open?.let { "open=$it" }, messages?.let { "messages=$it" })
        val answer = send("GET", "/calls?" + (listOf("procedure=$procedure") + wait).joinToString("&"))
        return (json(answer)["calls"] as List<*>).map { Seen(it as Map<*, *>) }
    }

    override fun close() = served.close()

    private suspend fun send(method: String, path: String, body: String? = null): String = withContext(Dispatchers.IO) {
        val publisher = body?.let(HttpRequest.BodyPublishers::ofString) ?: HttpRequest.BodyPublishers.noBody()
        val answer = http.send(
            HttpRequest.newBuilder(URI(control + path)).method(method, publisher).build(),
            HttpResponse.BodyHandlers.ofString(),
        )
        check(answer.statusCode() < 300) { "$method $path: ${answer.statusCode()} ${answer.body()}" }
        answer.body()
    }
}

/** A rule for the streams. */
fun rule(
    fault: String,
    times: Int = 0,
    after: Int = 0,
    procedure: String = WATCH,
    vararg more: Pair<String, Any>,
): Map<String, Any> = mapOf("procedure" to procedure, "fault" to fault, "times" to times, "after" to after) + more
