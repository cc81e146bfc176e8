// The bootstrap port, with real sockets: what it answers to whom, and what it does with garbage.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "net/bootstrap_client.hpp"
#include "net/bootstrap_server.hpp"
#include "net/liveness.hpp"

using namespace benchfs;
using bootstrap::Op;

namespace {

const std::string kSecret(32, 'k');

struct BootstrapFixture {
  std::unique_ptr<Loop> loop = std::move(*Loop::create({}));
  Loop::Scope scope{*loop};
  std::unique_ptr<BootstrapServer> server;

  BootstrapFixture() { start({}); }
  ~BootstrapFixture() { stop(); }
  void stop() {
    if (server) loop->run(server->close());
    server.reset();
  }
  void start(BootstrapServer::Options options) {
    stop();
    options.secret = kSecret;
    options.instance = 42;
    auto started = BootstrapServer::start(*loop, options);
    REQUIRE(started);
    server = std::move(*started);
  }
  Explained<std::string> call(Op op, std::string payload = "", std::string secret = kSecret,
                              std::int64_t timeout_ms = 3000) {
    return loop->run(
        bootstrap_call(*loop, "127.0.0.1", server->port(), op, payload, secret, timeout_ms));
  }
  Socket connect() {
    auto socket =
        loop->run(connect_tcp(*loop, "127.0.0.1", server->port(), now_ns() + 2'000'000'000));
    REQUIRE(socket);
    return std::move(*socket);
  }
  /// Sends bytes and returns how much comes back after the banner before the server closes.
  std::size_t bytes_after(std::span<const std::byte> sent) {
    Socket socket = connect();
    bootstrap::Banner banner;
    const std::int64_t deadline = now_ns() + 3'000'000'000;
    REQUIRE(loop->run(socket.read_exact(bootstrap::bytes_of(banner), deadline)));
    (void)loop->run(socket.write_all(sent, deadline));
    std::size_t got = 0;
    std::byte one;
    while (loop->run(socket.read_exact({&one, 1}, deadline))) ++got;
    CHECK(now_ns() < deadline);  // it was closed, not waited for
    return got;
  }
};

TEST_SUITE("bootstrap") {
  TEST_CASE_FIXTURE(BootstrapFixture, "ping tells instance, cluster and state without a secret") {
    server->set_state(bootstrap::State::ready);
    server->set_cluster_id(7);
    const auto pong = loop->run(bootstrap_ping(*loop, "127.0.0.1", server->port(), 2000));
    REQUIRE(pong);
    CHECK(pong->instance == 42);
    CHECK(pong->cluster_id == 7);
    CHECK(pong->state == static_cast<std::uint32_t>(bootstrap::State::ready));
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "a probe succeeds for that process only") {
    CHECK(loop->run(probe(*loop, "127.0.0.1", server->port(), 42, 2000)));
    const Status other = loop->run(probe(*loop, "127.0.0.1", server->port(), 43, 2000));
    REQUIRE(!other);
    CHECK(other.error().code == Errc::unreachable);
    const std::uint16_t port = server->port();
    stop();
    const Status gone = loop->run(probe(*loop, "127.0.0.1", port, 42, 2000));
    REQUIRE(!gone);
    CHECK(gone.error().code == Errc::unreachable);
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "a probe of a process that hangs ends in time") {
    auto mute = Listener::open(*loop, "127.0.0.1", 0);
    REQUIRE(mute);
    const std::int64_t began_ms = now_ms();
    const Status probed = loop->run(probe(*loop, "127.0.0.1", mute->port(), 42, 100));
    REQUIRE(!probed);
    CHECK(probed.error().code == Errc::timed_out);
    CHECK(now_ms() - began_ms < 2000);
  }

  TEST_CASE_FIXTURE(BootstrapFixture,
                    "cluster is busy until there is one, then gives it, however large") {
    auto early = call(Op::cluster);
    REQUIRE(!early);
    CHECK(early.error().code == Errc::busy);
    std::string text(5u << 20, 'x');
    for (std::size_t i = 0; i < text.size(); i += 1000) text[i] = static_cast<char>(i);
    server->set_handler(Op::cluster,
                        [&](std::string_view) -> Explained<std::string> { return text; });
    const auto got = call(Op::cluster);
    REQUIRE(got);
    CHECK(*got == text);
  }

  TEST_CASE_FIXTURE(BootstrapFixture,
                    "a handler gets the payload, and its error reaches the caller") {
    std::string seen;
    server->set_handler(Op::join, [&](std::string_view payload) -> Explained<std::string> {
      seen = payload;
      return explain(Errc::exists, "two of\nthem");
    });
    const std::string payload(bootstrap::kRequestPayloadMax, 'p');
    const auto reply = call(Op::join, payload);
    CHECK(seen == payload);
    REQUIRE(!reply);
    CHECK(reply.error().code == Errc::exists);
    CHECK(reply.error().text.find("two of\\nthem") != std::string::npos);
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "without the job's secret nothing but ping is served") {
    bool reached = false;
    for (const Op op : {Op::cluster, Op::join, Op::stop, Op::stored}) {
      server->set_handler(op, [&](std::string_view) -> Explained<std::string> {
        reached = true;
        return "secret things";
      });
      for (const std::string& wrong : {std::string(), std::string(32, 'j'), kSecret + "x"}) {
        const auto reply = call(op, "payload", wrong);
        REQUIRE(!reply);
        CHECK(reply.error().code == Errc::access);
      }
    }
    CHECK(!reached);
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "stop reaches its handler") {
    bool stopped = false;
    server->set_handler(Op::stop, [&](std::string_view) -> Explained<std::string> {
      stopped = true;
      return "";
    });
    CHECK(loop->run(request_stop(*loop, "127.0.0.1", server->port(), kSecret, 2000)));
    CHECK(stopped);
  }

  TEST_CASE_FIXTURE(BootstrapFixture,
                    "garbage closes its connection at once; the next caller is served") {
    const std::string http = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    CHECK(bytes_after(bootstrap::bytes_of(std::string_view(http))) == 0);
    bootstrap::Request request;
    request.op = 99;
    CHECK(bytes_after(bootstrap::bytes_of(std::as_const(request))) == 0);
    request.op = 2;
    request.payload_bytes = bootstrap::kRequestPayloadMax + 1;
    CHECK(bytes_after(bootstrap::bytes_of(std::as_const(request))) == 0);
    request.payload_bytes = 0;
    request.version = 9;
    CHECK(bytes_after(bootstrap::bytes_of(std::as_const(request))) == 0);
    { Socket silent = connect(); }  // comes and goes
    CHECK(loop->run(probe(*loop, "127.0.0.1", server->port(), 42, 2000)));
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "a caller that stalls is closed at the time limit") {
    start({.connection_ms = 100});
    Socket socket = connect();
    bootstrap::Banner banner;
    const std::int64_t deadline = now_ns() + 5'000'000'000;
    REQUIRE(loop->run(socket.read_exact(bootstrap::bytes_of(banner), deadline)));
    std::byte one;
    const std::int64_t began_ms = now_ms();
    const Status closed = loop->run(socket.read_exact({&one, 1}, deadline));
    REQUIRE(!closed);
    CHECK(closed.error().code == Errc::unreachable);
    CHECK(now_ms() - began_ms < 2000);
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "callers over the limit wait their turn") {
    start({.connections_max = 2, .connection_ms = 200});
    Socket first = connect();
    Socket second = connect();
    CHECK(loop->run(probe(*loop, "127.0.0.1", server->port(), 42, 3000)));
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "a hundred callers at once are all answered") {
    ServerRecord record;
    record.bootstrap_host = "127.0.0.1";
    record.bootstrap_port = server->port();
    record.instance = 42;
    const std::vector<ServerRecord> many(100, record);
    const auto sightings = loop->run(look_for_all(*loop, many, 5000));
    CHECK(std::count_if(sightings.begin(), sightings.end(),
                        [](const Sighting& s) { return s.liveness == Liveness::alive; }) == 100);
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "close ends connections that are open") {
    Socket socket = connect();
    bootstrap::Banner banner;
    REQUIRE(loop->run(socket.read_exact(bootstrap::bytes_of(banner), now_ns() + 2'000'000'000)));
    const std::int64_t began_ms = now_ms();
    stop();
    CHECK(now_ms() - began_ms < 1000);
  }

  TEST_CASE_FIXTURE(BootstrapFixture, "an impostor without the secret is not believed") {
    // Answers every request with status 0 and a proof of its own making.
    auto listener = Listener::open(*loop, "127.0.0.1", 0);
    REQUIRE(listener);
    auto impostor = [](Listener* at) -> Task<void> {
      Result<Socket> accepted = co_await at->accept();
      Socket socket = std::move(*accepted);
      const std::int64_t deadline = now_ns() + 2'000'000'000;
      bootstrap::Banner banner;
      bootstrap::Request request;
      (void)co_await socket.write_all(bootstrap::bytes_of(std::as_const(banner)), deadline);
      (void)co_await socket.read_exact(bootstrap::bytes_of(request), deadline);
      bootstrap::Reply reply;
      const std::string body = "cluster: mine";
      reply.payload_bytes = static_cast<std::uint32_t>(body.size());
      reply.proof = bootstrap::reply_proof("guess", banner.nonce, request, reply, body);
      (void)co_await socket.write_all(bootstrap::bytes_of(std::as_const(reply)), deadline);
      (void)co_await socket.write_all(bootstrap::bytes_of(std::string_view(body)), deadline);
    };
    auto running = impostor(&*listener);
    std::string nothing;
    const auto reply = loop->run(
        bootstrap_call(*loop, "127.0.0.1", listener->port(), Op::cluster, nothing, kSecret, 2000));
    loop->run(std::move(running));
    REQUIRE(!reply);
    CHECK(reply.error().code == Errc::access);
  }
}

}  // namespace
