package io.github.verigate

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** What the build files and the compiled classes say. */
class BuildTest {
    private fun property(pom: String, name: String): String =
        Regex("<$name>([^<]+)</$name>").find(File(pom).readText())!!.groupValues[1]

    @Test
    fun `Gradle builds with Maven's versions`() {
        val gradle = File("build.gradle.kts").readText()
        val expected = mapOf(
            "org.jetbrains.kotlinx:kotlinx-coroutines-core" to "coroutines.version",
            "com.connectrpc:connect-kotlin" to "connect-kotlin.version",
            "com.connectrpc:connect-kotlin-okhttp" to "connect-kotlin.version",
            "com.squareup.okhttp3:okhttp" to "okhttp.version",
            "com.google.protobuf:protobuf-javalite" to "protobuf.version",
        )
        val found = Regex("\"([\\w.]+:[\\w-]+):([\\w.-]+)\"").findAll(gradle).associate { it.groupValues[1] to it.groupValues[2] }
        assertEquals(expected.mapValues { property("pom.xml", it.value) }, found)
        assertTrue("kotlin(\"jvm\") version \"${property("pom.xml", "kotlin.version")}\"" in gradle)
        assertTrue("version = \"0.0.0\"" in gradle && "<version>0.0.0</version>" in File("pom.xml").readText())
    }

    @Test
    fun `the README shows the ten lines that run`() {
        val program = File("src/test/kotlin/io/github/verigate/examples/TenLines.kt").readText().substringAfter("examples\n\n")
        assertTrue("```kotlin\n$program```" in File("README.md").readText())
    }

    @Test
    fun `the generators are those of the libraries`() {
        val generators = "generate/pom.xml"
        assertEquals(property("pom.xml", "connect-kotlin.version"), property(generators, "connect-kotlin.version"))
        assertEquals(property("pom.xml", "protobuf.version"), property(generators, "protoc.version"))
    }

    // Of java.* only what Android has had since API 1, or 9 for java.util.concurrent's
    // later parts; java.time for example came with API 26.
    @Test
    fun `nothing is used that Android 7 lacks`() {
        val allowed = Regex(
            "java/(io/(Closeable|IOException|Serializable)" +
                "|lang/[A-Z]\\w*|lang/invoke/\\w+(\\$\\w+)?" +
                "|util/(UUID|List|Map|Set|Collection|Iterator|ArrayList|LinkedHashMap|Arrays|NoSuchElementException)(\\$\\w+)?" +
                "|util/concurrent/(atomic/Atomic(Integer|Reference)|SynchronousQueue|ThreadPoolExecutor|ThreadFactory" +
                "|BlockingQueue|ExecutorService|TimeUnit|CopyOnWriteArraySet|CancellationException))",
        )
        val classes = File("target/classes/io/github/verigate").listFiles { file -> file.extension == "class" }!!
        assertTrue(classes.size > 20)
        val used = classes.flatMap { file ->
            Regex("java/[\\w/$]+").findAll(file.readBytes().toString(Charsets.ISO_8859_1)).map { it.value }
        }.toSet()
        assertTrue("java/util/UUID" in used)
        assertEquals(emptyList<String>(), used.filterNot { allowed.matches(it) }.sorted())
    }

    @Test
    fun `classes are for Java 8, and a shrinker keeps the messages' fields`() {
        val header = File("target/classes/io/github/verigate/VerigateClient.class").readBytes()
        assertEquals(52, header[7].toInt())
        assertEquals(52, File("target/classes/io/github/verigate/v1/StatusUpdate.class").readBytes()[7].toInt())
        val rules = checkNotNull(javaClass.getResource("/META-INF/proguard/verigate-client.pro")).readText()
        assertTrue("GeneratedMessageLite" in rules)
        assertFalse(File("target/classes/buf/validate").exists())
    }
}
