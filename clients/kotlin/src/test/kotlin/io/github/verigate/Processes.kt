// The processes that the tests run: the real gateway and the fault proxy.
package io.github.verigate

import com.squareup.moshi.Moshi
import io.github.verigate.v1.Verification
import java.io.File
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.file.Files
import java.util.concurrent.TimeUnit
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec

/** The root of the repository; Maven runs tests in clients/kotlin. */
val repository: File = File("../..").canonicalFile

/** A binary that `make build` makes. */
fun binary(variable: String, path: String): String {
    val file = File(System.getenv(variable) ?: repository.resolve(path).path)
    check(file.canExecute()) { "missing $file: run `make build`" }
    return file.path
}

/** Reads a JSON object. */
fun json(text: String): Map<*, *> = Moshi.Builder().build().adapter(Any::class.java).fromJson(text) as Map<*, *>

/** Writes JSON. */
fun toJson(value: Any): String = Moshi.Builder().build().adapter(Any::class.java).toJson(value)

/** A process of ours whose first line of output says that it is ready. */
class Served(command: List<String>) : AutoCloseable {
    private val log = File.createTempFile("verigate-kotlin-", ".log")
    private val process = ProcessBuilder(command).redirectError(log).start()

    /** What it said, as JSON. */
    val ready: Map<*, *> = json(
        checkNotNull(process.inputStream.bufferedReader().readLine()) {
            "${command.first()} ended before it was ready: ${log.readText().also { log.delete() }}"
        },
    )

    /** Sends SIGTERM and waits for the end. */
    override fun close() {
        process.destroy()
        check(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) { "a process did not end: ${log.readText()}" }
        log.delete()
    }

    private companion object {
        const val PATIENCE_SECONDS = 60L
    }
}

/** A gateway with a database that outlives a restart. */
class Gateway(private val maxStreamAge: String = "10m") : AutoCloseable {
    // Passable: for root the database runs as another account, which has to get in.
    private val data = Files.createTempDirectory("verigate-kotlin-").toFile().apply { setExecutable(true, false) }
    private var served = serve("127.0.0.1:0")

    val url: String = served.ready["url"] as String
    val apiKey: String = File(served.ready["env_file"] as String).readLines()
        .single { it.startsWith("VERIGATE_API_KEY=") }.substringAfter('=')

    /** What a deploy does first: the gateway drains and ends. */
    fun stop() = served.close()

    /** Serves again, at the same address. */
    fun startAgain() {
        served = serve(URI(url).authority)
    }

    /** What a person does on the hosted page. */
    fun complete(id: String, outcome: String) = sandbox("complete", id, "--outcome", outcome)

    /** What a reviewer does afterwards. */
    fun decline(id: String) = sandbox("case", id, "--result", "declined", "--reason", "FAKE_ID")

    /**
     * What AiPrise would say: the signed webhook that approves. Its emulator is a
     * part of the gateway's process and forgets its sessions with it.
     */
    fun approve(open: Verification) {
        val session = open.hostedUrl.substringAfter("verification_session_id=")
        val body = toJson(
            mapOf(
                "verification_session_id" to session,
                "client_reference_id" to open.id,
                "status" to "COMPLETED",
                "aiprise_summary" to mapOf("verification_result" to "APPROVED"),
            ),
        )
        val mac = Mac.getInstance("HmacSHA256").apply { init(SecretKeySpec("sandbox-aiprise-key".toByteArray(), algorithm)) }
        val signature = mac.doFinal(body.toByteArray()).joinToString("") { "%02x".format(it) }
        val request = HttpRequest.newBuilder(URI("$url/webhooks/aiprise-sandbox"))
            .header("Content-Type", "application/json")
            .header("X-HMAC-SIGNATURE", signature)
            .POST(HttpRequest.BodyPublishers.ofString(body))
        val answer = HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString())
        check(answer.statusCode() < 300) { "the webhook was answered ${answer.statusCode()} ${answer.body()}" }
    }

    override fun close() {
        served.close()
        data.deleteRecursively()
    }

    private fun serve(listen: String) = Served(
        listOf(
            binary("VERIGATE_BINARY", ".tmp/verigate"), "dev", "--json", "--data-dir", data.path, "--listen", listen,
            "--heartbeat", "500ms", "--max-stream-age", maxStreamAge,
        ),
    )

    private fun sandbox(vararg arguments: String) {
        val command = ProcessBuilder(binary("VERIGATE_BINARY", ".tmp/verigate"), "sandbox", *arguments)
            .redirectErrorStream(true)
        command.environment() += mapOf("VERIGATE_URL" to url, "VERIGATE_API_KEY" to apiKey)
        val process = command.start()
        val said = process.inputStream.bufferedReader().readText()
        check(process.waitFor() == 0) { said }
    }
}
