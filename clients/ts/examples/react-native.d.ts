// The parts of react-native that the example uses, as its own types have them
// (https://reactnative.dev/docs/appstate, https://reactnative.dev/docs/linking):
// the package itself is not installed here. In your app delete this file.
declare module "react-native" {
  interface Subscription {
    remove(): void;
  }

  type AppStateStatus = "active" | "background" | "inactive" | "unknown" | "extension";

  const AppState: {
    readonly currentState: AppStateStatus;
    addEventListener(type: "change", listener: (state: AppStateStatus) => void): Subscription;
  };

  const Linking: {
    /** The link that opened the app, if one did. */
    getInitialURL(): Promise<string | null>;
    openURL(url: string): Promise<void>;
    addEventListener(type: "url", listener: (event: { url: string }) => void): Subscription;
  };
}
