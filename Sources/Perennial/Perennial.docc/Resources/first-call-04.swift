import Perennial

let perennial = try await Perennial.connect(file: "perennial.yaml")

try await perennial.addAccount("alice", provider: "acme", refreshToken: refreshToken)

let profile = try await perennial.withToken(for: "alice") { token in
    let answer = try await http.get("/profile", authorization: token.revealAuthorization())
    if answer.status == 401 { throw TokenRefused() }
    return answer.body
}

await perennial.shutdown()
