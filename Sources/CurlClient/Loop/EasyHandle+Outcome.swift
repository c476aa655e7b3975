import CCurl

// Reading the end of a transfer off its handle.
extension EasyHandle {
    /// Completes the transfer according to libcurl's code and what the callbacks have seen.
    func conclude(_ transfer: Transfer, curlCode: Int32) {
        if curlCode == Int32(CURLE_OK.rawValue) { return transfer.succeed(on: self) }
        if let abort = transfer.abort {
            return transfer.fail(abort, Self.text(ofAbort: abort, transfer), curlCode: curlCode)
        }
        // libcurl's own cap on all headers of a response, 300 KiB, for which it has no code of its own in 7.88.
        let isHeadTooLarge = errorText.hasPrefix("Too large response headers")
        let code =
            isHeadTooLarge
            ? .responseTooLarge
            : CurlError.Code(curlCode, transfer, connectStatus: ccurl_get_long(raw, CURLINFO_HTTP_CONNECTCODE))
        let detail = Self.harmless(errorText, in: transfer.request) ?? String(cString: ccurl_strerror(curlCode))
        transfer.fail(code, "\(detail) (libcurl \(curlCode))", curlCode: curlCode)
    }

    func response(
        headers: [(name: String, value: String)], body: [UInt8], primaryIP: String?,
        submitted: ContinuousClock.Instant
    ) -> CurlResponse {
        let connected = max(
            ccurl_get_large(raw, CURLINFO_CONNECT_TIME_T), ccurl_get_large(raw, CURLINFO_APPCONNECT_TIME_T))
        let isNew = ccurl_get_long(raw, CURLINFO_NUM_CONNECTS) > 0
        return CurlResponse(
            status: ccurl_get_long(raw, CURLINFO_RESPONSE_CODE),
            headers: headers,
            body: body,
            httpVersion: CurlHTTPVersion(ccurl_get_long(raw, CURLINFO_HTTP_VERSION)),
            primaryIP: primaryIP,
            timing: CurlTiming(connect: isNew ? .microseconds(connected) : .zero, total: submitted.duration(to: .now)))
    }

    static func text(ofAbort code: CurlError.Code, _ transfer: Transfer) -> String {
        switch code {
        case .sendByMissed: "the instant to send by had passed when the connection was ready"
        case .responseTooLarge: "the response is larger than \(transfer.request.maxResponseBytes) bytes"
        case .cancelled: "cancelled"
        case .upload: "the request's body was given up, or is shorter than announced"
        case .receive where transfer.hasBegun: "the response's head is not one of HTTP, or contradicts itself"
        default: "the connection ended after the request was sent, and it must not be sent twice"
        }
    }

    /// libcurl's text is repeated only where nothing of the request's secrets can be in it.
    private static func harmless(_ text: String, in request: CurlRequest) -> String? {
        guard !text.isEmpty else { return nil }
        var secrets = [request.proxy?.username, request.proxy?.password].compactMap { $0 }
        if let rest = URLText.split(request.url)?.rest, rest.count > 1 { secrets.append(String(rest)) }
        guard !secrets.contains(where: { !$0.isEmpty && text.contains($0) }), !text.contains("://") else { return nil }
        // A server's words may be quoted in it.
        let printable = text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(200)
        return String(String.UnicodeScalarView(printable))
    }
}

extension CurlHTTPVersion {
    fileprivate init(_ version: Int) {
        switch version {
        case Int(CURL_HTTP_VERSION_1_0): self = .http10
        case Int(CURL_HTTP_VERSION_1_1): self = .http11
        case Int(CURL_HTTP_VERSION_2_0): self = .http2
        case Int(CURL_HTTP_VERSION_3): self = .http3
        default: self = .unknown
        }
    }
}

extension CurlError.Code {
    /// - Parameter connectStatus: the proxy's answer to CONNECT; 0 if there was none.
    fileprivate init(_ curlCode: Int32, _ transfer: Transfer, connectStatus: Int) {
        let viaProxy = transfer.request.proxy != nil
        // Before the tunnel stands, the TLS that failed is that with the proxy.
        let isProxyTLS = transfer.request.proxy?.isTLS == true && connectStatus == 0 && !transfer.mayHaveLeft
        switch CURLcode(rawValue: UInt32(bitPattern: curlCode)) {
        case CURLE_UNSUPPORTED_PROTOCOL where transfer.mayHaveLeft && !transfer.hasBegun:
            // An answer without a status line, which libcurl calls HTTP/0.9.
            self = .receive
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_LOGIN_DENIED:
            self = .malformedURL
        case CURLE_COULDNT_RESOLVE_PROXY, CURLE_PROXY:
            self = .proxy
        case CURLE_COULDNT_RESOLVE_HOST:
            self = .resolve
        case CURLE_COULDNT_CONNECT:
            self = viaProxy ? .proxy : .connect
        case CURLE_OPERATION_TIMEDOUT:
            let late = transfer.request.sendBy.map { !transfer.mayHaveLeft && ContinuousClock.now >= $0 } ?? false
            self = late ? .sendByMissed : .timeout
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED,
            CURLE_SSL_ENGINE_INITFAILED, CURLE_USE_SSL_FAILED, CURLE_SSL_CRL_BADFILE, CURLE_SSL_INVALIDCERTSTATUS,
            CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_CLIENTCERT:
            self = isProxyTLS ? .proxy : .tls
        case CURLE_FILESIZE_EXCEEDED:
            self = .responseTooLarge
        case CURLE_OUT_OF_MEMORY where transfer.hasBegun || transfer.mayHaveLeft:
            // libcurl's word for a header line beyond its own cap of 100 KiB.
            self = .responseTooLarge
        case CURLE_PARTIAL_FILE:
            self = .truncated
        case CURLE_SEND_ERROR, CURLE_SEND_FAIL_REWIND:
            self = transfer.mayHaveLeft ? .send : viaProxy ? .proxy : .connect
        case CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_WEIRD_SERVER_REPLY, CURLE_HTTP2, CURLE_HTTP2_STREAM,
            CURLE_BAD_CONTENT_ENCODING:
            if !transfer.mayHaveLeft {
                self = viaProxy ? .proxy : .connect
            } else {
                self = transfer.hasBegun ? .truncated : .receive
            }
        default:
            // 100 is CURLE_TOO_LARGE, which libcurl 7.88 does not have yet.
            self = curlCode == 100 ? .responseTooLarge : connectStatus >= 300 && !transfer.mayHaveLeft ? .proxy : .other
        }
    }
}
