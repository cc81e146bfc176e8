// Accepts connections and serves one request on each. A handler never waits, so that nothing
// outlives its connection but the bytes of the reply.
#include "net/bootstrap_server.hpp"

#include <cstring>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"

namespace benchfs {
namespace {

using bootstrap::bytes_of;
using bootstrap::Op;

constexpr std::int64_t kComplaintEveryMs = 1'000;
constexpr std::int64_t kAcceptRetryNs = 100'000'000;

}  // namespace

std::expected<std::unique_ptr<BootstrapServer>, std::string> BootstrapServer::start(
    Loop& loop, Options options) {
  auto listener = Listener::open(loop, options.address, options.port);
  if (!listener) return std::unexpected(listener.error());
  std::unique_ptr<BootstrapServer> server(
      new BootstrapServer(loop, std::move(options), std::move(*listener)));
  const Loop::Scope scope(loop);
  server->accept_all().detach();
  return server;
}

BootstrapServer::~BootstrapServer() {
  BFS_ASSERT(closed_);
}

void BootstrapServer::set_handler(Op op, Handler handler) {
  handlers_[static_cast<std::uint16_t>(op)] = std::move(handler);
}

Task<void> BootstrapServer::accept_all() {
  const Gate::Pass pass = gate_.enter();
  while (!gate_.closed()) {
    if (open_.size() >= options_.connections_max) {  // the kernel's backlog holds the others
      co_await room_.wait();
      continue;
    }
    Result<Socket> accepted = co_await listener_.accept();
    if (gate_.closed()) break;
    if (!accepted) {  // out of descriptors or memory: others may give some back
      complain("the listening socket", std::strerror(accepted.error().native));
      co_await loop_.sleep_ns(kAcceptRetryNs);
      continue;
    }
    Socket socket = std::move(*accepted);
    serve(std::move(socket), gate_.enter()).detach();
  }
}

Task<void> BootstrapServer::serve(Socket socket, [[maybe_unused]] Gate::Pass pass) {
  const std::int64_t deadline_ns = now_ns() + options_.connection_ms * 1'000'000;
  open_.insert(&socket);
  bootstrap::Banner banner;
  bootstrap::Request request;
  std::string payload;
  const bool taken = co_await take_request(socket, banner, request, payload, deadline_ns);
  if (taken) {
    const bool proven = request.op != static_cast<std::uint16_t>(Op::ping);
    const wire::Proof expected =
        bootstrap::request_proof(options_.secret, banner.nonce, request, payload);
    bootstrap::Reply reply;
    std::string body;
    if (proven && !equal_constant_time(bytes_of(expected), bytes_of(request.proof))) {
      complain(socket.peer(), "no proof of the job's secret");
      reply.status = static_cast<std::uint16_t>(Errc::access);
    } else {
      Explained<std::string> result = answer(request, payload);
      reply.status = result ? 0 : static_cast<std::uint16_t>(result.error().code);
      body = result ? std::move(*result) : std::move(result.error().text);
      reply.payload_bytes = static_cast<std::uint32_t>(body.size());
      if (proven) {
        reply.proof = bootstrap::reply_proof(options_.secret, banner.nonce, request, reply, body);
      }
    }
    const Status sent = co_await socket.write_all(bytes_of(reply), deadline_ns);
    if (sent) {
      const std::span<const std::byte> rest = bytes_of(std::string_view(body));
      const Status sent_body = co_await socket.write_all(rest, deadline_ns);
      if (!sent_body)
        log_debug("bootstrap: {} went away before the end of its reply", socket.peer());
    }
  }
  open_.erase(&socket);
  room_.wake_one();
}

Task<bool> BootstrapServer::take_request(Socket& socket, bootstrap::Banner& banner,
                                         bootstrap::Request& request, std::string& payload,
                                         std::int64_t deadline_ns) {
  if (!random_bytes(bytes_of(banner.nonce))) co_return false;
  const Status greeted = co_await socket.write_all(bytes_of(banner), deadline_ns);
  if (!greeted) co_return false;
  // The magic first: whoever speaks another protocol is told apart at once, and not waited for.
  const std::span<std::byte> frame = bytes_of(request);
  const std::span<std::byte> first = frame.first(sizeof(request.magic));
  const Status began = co_await socket.read_exact(first, deadline_ns);
  if (!began) {
    if (began.error().code == Errc::timed_out) complain(socket.peer(), "nothing came in time");
    co_return false;  // came and went without a word: a port scan or a health check
  }
  if (request.magic != bootstrap::kMagic) {
    complain(socket.peer(), "not a BenchFS request");
    co_return false;
  }
  const std::span<std::byte> rest = frame.subspan(sizeof(request.magic));
  const Status got = co_await socket.read_exact(rest, deadline_ns);
  if (!got) {
    complain(socket.peer(), "a request that was cut short");
    co_return false;
  }
  if (const char* wrong = bootstrap::defect(request)) {
    complain(socket.peer(), wrong);
    co_return false;
  }
  payload.resize(request.payload_bytes);
  const std::span<std::byte> body = std::as_writable_bytes(std::span{payload});
  const Status got_body = co_await socket.read_exact(body, deadline_ns);
  if (!got_body) {
    complain(socket.peer(), "a payload that was cut short");
    co_return false;
  }
  co_return true;
}

Explained<std::string> BootstrapServer::answer(const bootstrap::Request& request,
                                               std::string_view payload) const {
  if (static_cast<Op>(request.op) == Op::ping) {
    const bootstrap::Pong pong{.instance = options_.instance,
                               .cluster_id = cluster_id_,
                               .state = static_cast<std::uint32_t>(state_),
                               .zero = 0};
    std::string text(sizeof(pong), '\0');
    std::memcpy(text.data(), &pong, sizeof(pong));
    return text;
  }
  const Handler& handler = handlers_[request.op];
  if (handler) return handler(payload);
  if (static_cast<Op>(request.op) == Op::cluster)
    return explain(Errc::busy, "the cluster is still forming");
  return explain(Errc::not_supported, "this server does not serve that operation");
}

void BootstrapServer::complain(const std::string& peer, std::string_view why) {
  const std::int64_t now = now_ms();
  if (complained_ms_ != 0 && now - complained_ms_ < kComplaintEveryMs) {
    ++unsaid_;
    return;
  }
  complained_ms_ = now;
  log_warn("bootstrap port: closed the connection of {}: {} ({} more of the kind were not logged)",
           peer, why, unsaid_);
  unsaid_ = 0;
}

Task<void> BootstrapServer::close() {
  gate_.close();
  listener_.shutdown();
  room_.wake_all();
  for (Socket* socket : open_) socket->shutdown();
  co_await gate_.drained();
  closed_ = true;
}

}  // namespace benchfs
