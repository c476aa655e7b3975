/// The version of this build, as in `--version`, `GET /v1/instances` and logs.
package let perennialVersion = "0.1.0"
