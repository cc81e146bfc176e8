// One connection per request: banner, request, reply. What comes back is checked before it is
// believed: frame, length, then the proof over status and payload.
#include "net/bootstrap_client.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/clock.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

using bootstrap::bytes_of;

std::string cause(const Error& error) {
  if (error.code == Errc::timed_out) return "no answer in time";
  if (error.native != 0) return std::strerror(error.native);
  return std::string(to_text(error.code));
}

}  // namespace

Task<Explained<std::string>> bootstrap_call(Loop& loop, std::string host, std::uint16_t port,
                                            bootstrap::Op op, std::string payload,
                                            std::string secret, std::int64_t timeout_ms) {
  const std::int64_t deadline_ns = now_ns() + timeout_ms * 1'000'000;
  const std::string who = format_host_port({host, port});
  Result<Socket> connected = co_await connect_tcp(loop, host, port, deadline_ns);
  if (!connected) co_return explain(connected.error().code, who + ": " + cause(connected.error()));
  Socket socket = std::move(*connected);

  bootstrap::Banner banner;
  const Status got_banner = co_await socket.read_exact(bytes_of(banner), deadline_ns);
  if (!got_banner)
    co_return explain(got_banner.error().code, who + ": " + cause(got_banner.error()));
  if (const char* wrong = bootstrap::defect(banner)) {
    const Errc code = banner.magic == bootstrap::kMagic ? Errc::version : Errc::bad_message;
    co_return explain(code, who + ": " + wrong);
  }

  bootstrap::Request request;
  request.op = static_cast<std::uint16_t>(op);
  request.payload_bytes = static_cast<std::uint32_t>(payload.size());
  if (!random_bytes(bytes_of(request.nonce))) co_return explain(Errc::io, "no random numbers");
  const bool proven = op != bootstrap::Op::ping;
  if (proven) request.proof = bootstrap::request_proof(secret, banner.nonce, request, payload);
  const Status sent = co_await socket.write_all(bytes_of(request), deadline_ns);
  if (!sent) co_return explain(sent.error().code, who + ": " + cause(sent.error()));
  const std::span<const std::byte> body = bytes_of(std::string_view(payload));
  const Status sent_body = co_await socket.write_all(body, deadline_ns);
  if (!sent_body) co_return explain(sent_body.error().code, who + ": " + cause(sent_body.error()));

  bootstrap::Reply reply;
  const Status got_reply = co_await socket.read_exact(bytes_of(reply), deadline_ns);
  if (!got_reply) co_return explain(got_reply.error().code, who + ": " + cause(got_reply.error()));
  if (const char* wrong = bootstrap::defect(reply))
    co_return explain(Errc::bad_message, who + ": " + wrong);
  if (proven && reply.status == static_cast<std::uint16_t>(Errc::access)) {
    co_return explain(Errc::access, who + ": the server has another job secret");
  }
  // The length is the peer's word, not proven yet: memory follows the bytes that come.
  constexpr std::size_t kStep = 256u << 10;
  std::string answer;
  while (answer.size() < reply.payload_bytes) {
    const std::size_t at = answer.size();
    answer.resize(std::min<std::size_t>(reply.payload_bytes, at + kStep));
    const std::span<std::byte> part = std::as_writable_bytes(std::span{answer}.subspan(at));
    const Status got = co_await socket.read_exact(part, deadline_ns);
    if (!got) co_return explain(got.error().code, who + ": " + cause(got.error()));
  }
  if (proven) {
    const wire::Proof expected =
        bootstrap::reply_proof(secret, banner.nonce, request, reply, answer);
    if (!equal_constant_time(bytes_of(expected), bytes_of(reply.proof)))
      co_return explain(Errc::access, who + ": the server does not know the job's secret");
  }
  if (reply.status != 0) {
    co_return explain(errc_from_wire(reply.status), who + ": " + escape_line(answer));
  }
  co_return answer;
}

Task<Explained<bootstrap::Pong>> bootstrap_ping(Loop& loop, std::string host, std::uint16_t port,
                                                std::int64_t timeout_ms) {
  std::string nothing;
  std::string no_secret;
  Explained<std::string> reply = co_await bootstrap_call(loop, host, port, bootstrap::Op::ping,
                                                         nothing, no_secret, timeout_ms);
  if (!reply) co_return std::unexpected(reply.error());
  bootstrap::Pong pong;
  if (reply->size() != sizeof(pong))
    co_return explain(Errc::bad_message, format_host_port({host, port}) + ": malformed reply");
  std::memcpy(&pong, reply->data(), sizeof(pong));
  co_return pong;
}

Task<Status> probe(Loop& loop, std::string host, std::uint16_t port, std::uint64_t instance,
                   std::int64_t timeout_ms) {
  Explained<bootstrap::Pong> pong = co_await bootstrap_ping(loop, host, port, timeout_ms);
  if (!pong) {
    const bool late = pong.error().code == Errc::timed_out;
    co_return fail(late ? Errc::timed_out : Errc::unreachable);
  }
  if (pong->instance != instance) co_return fail(Errc::unreachable);
  co_return Status{};
}

Task<Explained<void>> request_stop(Loop& loop, std::string host, std::uint16_t port,
                                   std::string secret, std::int64_t timeout_ms) {
  std::string nothing;
  Explained<std::string> reply =
      co_await bootstrap_call(loop, host, port, bootstrap::Op::stop, nothing, secret, timeout_ms);
  if (!reply) co_return std::unexpected(reply.error());
  co_return Explained<void>{};
}

}  // namespace benchfs
