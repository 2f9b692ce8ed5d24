package io.github.verigate.examples

import android.app.Activity
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/**
 * The Android half of docs/integrate/android.md: a bare Activity, so that it needs
 * nothing but the platform. With androidx the model lives in a ViewModel, and
 * ProcessLifecycleOwner tells about the foreground.
 */
abstract class VerifyActivity(private val gateway: String) : Activity(), CoroutineScope by MainScope() {
    private val model by lazy { VerifyModel(gateway, backend(), this) }

    /** Your backend, with your user's session. */
    abstract fun backend(): YourBackend

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val words = TextView(this)
        val button = Button(this)
        val layout = LinearLayout(this)
        layout.addView(words)
        layout.addView(button)
        setContentView(layout)
        launch {
            model.screen.collect { screen ->
                words.text = listOf(screen.words, screen.hint).joinToString("\n")
                button.text = if (screen.canTryAgain) "Try again" else "Verify me"
                button.setOnClickListener { verify(screen.canTryAgain) }
            }
        }
        goOnAfter(intent)
    }

    // The manifest says singleTask, so a link reaches the Activity that is there.
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        goOnAfter(intent)
    }

    // The link proves nothing: it says "look", and nothing in it is believed.
    private fun goOnAfter(intent: Intent?) {
        if (intent?.action == Intent.ACTION_VIEW && intent.data != null) model.goOn()
    }

    private fun verify(again: Boolean) {
        launch {
            val page = model.open(again) ?: return@launch
            startActivity(Intent(Intent.ACTION_VIEW, Uri.parse(page)))
        }
    }

    override fun onStart() {
        super.onStart()
        model.toForeground()
    }

    override fun onStop() {
        model.toBackground()
        super.onStop()
    }

    override fun onDestroy() {
        model.close()
        cancel()
        super.onDestroy()
    }
}
