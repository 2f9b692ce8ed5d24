package io.github.verigate.examples

import io.github.verigate.OneGateway
import io.github.verigate.VerigateClient
import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.VerificationState
import java.io.IOException
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.DisplayName
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.extension.ExtendWith

/** The Android example, from the button to the result, on the real gateway. */
@ExtendWith(OneGateway::class)
class VerifyModelTest {
    private val gateway = OneGateway.shared

    @Test
    @DisplayName("the Android example follows its user through background, failure and another try")
    fun follows() = inScope { scope ->
        VerigateClient(gateway.url, gateway.apiKey).use { api ->
            val backend = TestBackend(api)
            VerifyModel(gateway.url, backend, scope).use { model ->
                val page = model.open()
                assertEquals(page, model.screen.first { it.words == "Waiting for you." }.hostedUrl)

                val first = backend.latest.id
                model.toBackground()
                withContext(Dispatchers.IO) { gateway.complete(first, "fail") }
                model.toForeground()
                model.goOn()
                assertEquals("We could not verify you.", model.screen.first { it.canTryAgain }.words)
                assertEquals(first, backend.latest.id)

                assertNotEquals(page, model.open(again = true))
                assertNotEquals(first, backend.latest.id)
                withContext(Dispatchers.IO) { gateway.complete(backend.latest.id, "pass") }
                model.screen.first { it.words == "You are verified." }
                assertNull(model.open())
            }
        }
    }

    @Test
    @DisplayName("the Android example says so when the backend or the token fails")
    fun fails() = inScope { scope ->
        VerifyModel(gateway.url, { throw IOException("no route") }, scope).use { model ->
            assertNull(model.open())
            assertEquals("We cannot reach our server. Please try again in a moment.", model.screen.value.words)
        }
        VerifyModel(gateway.url, { Begun("0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d", "", "no-token") }, scope).use { model ->
            model.open()
            model.screen.first { it.words.startsWith("We cannot follow this") }
        }
    }

    @Test
    @DisplayName("the Android example has words for each state, also for one that it does not know")
    fun words() {
        val begun = Begun("id", "page", "token")
        fun say(state: Int) = screenOf(StatusUpdate.newBuilder().setStateValue(state).build(), begun)
        assertEquals("Confirming…", say(VerificationState.VERIFICATION_STATE_PROCESSING_VALUE).words)
        assertEquals("Confirming…", say(99).words)
        assertEquals("A person looks at it. That may take hours; you can close the app.", say(VerificationState.VERIFICATION_STATE_IN_REVIEW_VALUE).words)
    }

    private fun inScope(test: suspend (CoroutineScope) -> Unit) {
        runBlocking {
            val scope = CoroutineScope(coroutineContext + Job())
            withTimeout(60.seconds) { test(scope) }
            scope.cancel()
        }
    }
}

/** Plays the backend of docs/integrate/backend: the same verification until a new try is asked for. */
private class TestBackend(private val api: VerigateClient) : YourBackend {
    private var tries = 1
    lateinit var latest: Begun
        private set

    override suspend fun begin(again: Boolean): Begun {
        if (again) tries++
        val started = api.start("kyc", subject = "kotlin example") { idempotencyKey = "kotlin example $tries" }
        latest = Begun(started.verification.id, started.hostedUrl, started.clientToken)
        return latest
    }
}
