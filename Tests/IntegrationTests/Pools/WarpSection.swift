/// The section `pools` with a pool `warp`, whose chain has the mock provider make an account.
enum WarpSection {
    /// - Parameters:
    ///   - settings: further keys of the acquisition, a line each.
    ///   - refreshes: whether a second step, the provider's own refresh, spends and rotates what the first has brought.
    static func yaml(_ settings: [String], port: Int, refreshes: Bool = false) -> String {
        let refresh = """

                    - name: refresh
                      request:
                        url: "http://127.0.0.1:\(port)/oauth2/token"
                        form:
                          grant_type: refresh_token
                          client_id: test
                          refresh_token: "{{ steps.sign_up.refresh_token }}"
                      extract: { refresh_token: /refresh_token }
            """
        return """
            pools:
              warp:
                acquisition:
                  provider: mock
                  \(settings.joined(separator: "\n      "))
                  steps:
                    - name: sign_up
                      request:
                        url: "http://127.0.0.1:\(port)/admin/accounts"
                        json: { count: 1, prefix: "anonymous-", first: "{{ now.seconds | number }}" }
                      extract: { refresh_token: /refresh_token, id: /id }\(refreshes ? refresh : "")
                  refresh_token: "{{ steps.\(refreshes ? "refresh" : "sign_up").refresh_token }}"
                  account_id: "{{ steps.sign_up.id }}"

            """
    }
}
