// The serving side, seen by callers made by hand: the handshake, messages that are wrong in every
// way, and shutting down.
#include "net/service.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "fixture.hpp"

namespace benchfs {
namespace {

using namespace net_test;  // NOLINT: the tests' own

struct Setup {
  explicit Setup(ServerOptions options = {})
      : loop(make_loop()),
        scope(*loop),
        server(*loop, std::move(options)),
        client(*loop, server.fabric->address()) {}
  void open_session() {
    REQUIRE(client.hello(secret_of(1)));
    REQUIRE(client.authenticate(secret_of(1)) == 0);
  }
  /// Status of the reply to a message with this body.
  std::uint16_t status_of(const wire::Header& header, std::size_t body_bytes,
                          std::span<const std::byte> payload = {}) {
    client.send(RawClient::join(header, Bytes(body_bytes)), payload);
    const auto reply = client.reply_to(header.request_id);
    REQUIRE(reply);
    CHECK(reply->header.msg_id == header.msg_id);
    CHECK(reply->header.session == header.session);
    if (reply->header.status != 0) CHECK(reply->body.empty());
    return reply->header.status;
  }
  std::unique_ptr<Loop> loop;
  Loop::Scope scope;
  Server server;
  RawClient client;
};

/// A caller with a loop of its own that has announced a payload and is never turned again, as a
/// process that was stopped; the server's handler waits for the data.
struct StoppedCaller {
  StoppedCaller(ServerOptions options, std::uint32_t deadline_ms)
      : server_loop(make_loop()),
        client_loop(make_loop()),
        server(*server_loop, std::move(options)),
        client(*client_loop, server.fabric->address()) {
    const auto request = client.hello_request(secret_of(1));
    const auto welcome = ask(client.header(wire::Hello::kId), std::as_bytes(std::span{&request, 1}),
                             client.fabric().address());
    wire::Hello::Reply body;
    std::memcpy(&body, welcome.body.data(), sizeof(body));
    auto header = client.header(wire::Authenticate::kId);
    header.session = body.session;
    const wire::Authenticate::Request proof{
        session_proof(secret_of(1), Side::client, request.nonce, body.nonce, kClusterId)};
    CHECK(ask(header, std::as_bytes(std::span{&proof, 1}), {}).header.status == 0);

    server.service->hold_writes = true;
    header = client.header(wire::Write::kId);
    header.session = body.session;
    header.deadline_ms = deadline_ms;
    head = RawClient::join(header, Bytes(sizeof(wire::Write::Request)));
    client.endpoint().start_send(wire::kAmRequest, head, data, writing);
    REQUIRE(both([&] { return server.service->holding == 1; }));
    const Loop::Scope scope(*server_loop);
    server.service->release.set();
  }
  ~StoppedCaller() {
    client.close(true);
    CHECK(wait_until(*client_loop, [&] { return !writing.pending; }));
  }
  RawClient::Reply ask(const wire::Header& header, std::span<const std::byte> body,
                       std::span<const std::byte> payload) {
    const Bytes message = RawClient::join(header, body);
    UcxCompletion sent;
    client.endpoint().start_send(wire::kAmRequest, message, payload, sent);
    REQUIRE(both([&] { return client.replies() == 1 && !sent.pending; }));
    return *client.reply_to(header.request_id);
  }
  bool both(std::function<bool()> done) {
    const std::int64_t end_ns = now_ns() + 5'000 * kMs;
    while (!done() && now_ns() < end_ns) {
      server_loop->turn();
      client_loop->turn();
    }
    return done();
  }
  std::unique_ptr<Loop> server_loop, client_loop;
  Server server;
  RawClient client;
  Bytes head, data = Bytes(8 << 20);
  UcxCompletion writing;
};

std::uint16_t wire_of(Errc code) {
  return static_cast<std::uint16_t>(code);
}

TEST_SUITE("handshake") {
  TEST_CASE("handshake: with the secret, the session serves messages and tells the limits") {
    Setup s;
    REQUIRE(s.client.hello(secret_of(1)));
    CHECK(s.client.session() != 0);
    REQUIRE(s.client.authenticate(secret_of(1)) == 0);
    CHECK(s.client.served());
    CHECK(s.server.dispatcher->sessions() == 1);
    CHECK(s.server.dispatcher->epoch() == 5);
  }

  TEST_CASE("handshake: a hello without proof of the secret is not answered") {
    Setup s;
    CHECK_FALSE(s.client.hello(secret_of(2), kClusterId, 200));
    CHECK(s.server.dispatcher->sessions() == 0);
    CHECK(s.client.hello(secret_of(1)));
  }

  TEST_CASE("handshake: a hello recorded for another server process is not answered") {
    Setup s;
    auto request = s.client.hello_request(secret_of(1));
    request.proof = hello_proof(secret_of(1), request.nonce, kClusterId, kInstance + 1,
                                s.client.fabric().address());
    CHECK_FALSE(
        s.client.ask(s.client.header(wire::Hello::kId), request, s.client.fabric().address(), 200));
    CHECK(s.server.dispatcher->sessions() == 0);
  }

  TEST_CASE("handshake: a hello whose address was changed is not answered") {
    Setup s;
    const auto request = s.client.hello_request(secret_of(1));
    Bytes address(s.client.fabric().address().begin(), s.client.fabric().address().end());
    address.back() ^= std::byte{1};
    CHECK_FALSE(s.client.ask(s.client.header(wire::Hello::kId), request, address, 200));
    CHECK_FALSE(s.client.ask(s.client.header(wire::Hello::kId), request, {}, 200));
    CHECK_FALSE(s.client.ask(s.client.header(wire::Hello::kId), request, Bytes(5000), 200));
    CHECK_FALSE(s.client.ask(s.client.header(wire::Hello::kId), request, Bytes(kLarge), 200));
    CHECK(s.server.dispatcher->sessions() == 0);
  }

  TEST_CASE("handshake: another cluster's caller is told so, and has no session") {
    Setup s;
    const auto request = s.client.hello_request(secret_of(1), kClusterId + 1);
    const auto reply =
        s.client.ask(s.client.header(wire::Hello::kId), request, s.client.fabric().address());
    REQUIRE(reply);
    CHECK(reply->header.status == wire_of(Errc::stale));
    CHECK(wait_until(*s.loop, [&] { return s.server.dispatcher->sessions() == 0; }));
  }

  TEST_CASE("handshake: a wrong proof in authenticate is refused and ends the session") {
    Setup s;
    REQUIRE(s.client.hello(secret_of(1)));
    CHECK(s.client.authenticate(secret_of(2)) == wire_of(Errc::access));
    CHECK(wait_until(*s.loop, [&] { return s.server.dispatcher->sessions() == 0; }));
  }

  TEST_CASE("handshake: before authenticate every other message is refused with access") {
    Setup s;
    REQUIRE(s.client.hello(secret_of(1)));
    for (const std::uint16_t id : {wire::ServerStatus::kId, wire::Goodbye::kId, wire::Write::kId}) {
      CHECK(s.status_of(s.client.header(id), 8) == wire_of(Errc::access));
    }
    CHECK(s.status_of(s.client.header(9999), 8) == wire_of(Errc::access));
    CHECK(s.client.authenticate(secret_of(1)) == 0);
    CHECK(s.client.served());
  }

  TEST_CASE("handshake: a hello before activate waits, and is answered then") {
    ServerOptions options;
    options.activate = false;
    Setup s(options);
    const auto header = s.client.header(wire::Hello::kId);
    const auto request = s.client.hello_request(secret_of(1));
    CHECK_FALSE(s.client.ask(header, request, s.client.fabric().address(), 100));
    s.server.activate();
    const auto reply = s.client.reply_to(header.request_id);
    REQUIRE(reply);
    CHECK(reply->header.status == 0);
    CHECK(reply->header.epoch == 5);
  }

  TEST_CASE("handshake: a server that closes before activate drops those that wait") {
    ServerOptions options;
    options.activate = false;
    Setup s(options);
    const auto request = s.client.hello_request(secret_of(1));
    CHECK_FALSE(
        s.client.ask(s.client.header(wire::Hello::kId), request, s.client.fabric().address(), 50));
    s.server.close();
    CHECK(s.server.dispatcher->sessions() == 0);
  }

  TEST_CASE("handshake: a caller that comes back ends its earlier session, and no one else's") {
    Setup s;
    s.open_session();
    RawClient other(*s.loop, s.server.fabric->address());
    REQUIRE(other.hello(secret_of(1)));
    REQUIRE(other.authenticate(secret_of(1)) == 0);
    const std::uint64_t first = s.client.session();
    REQUIRE(s.client.hello(secret_of(1)));
    CHECK(s.server.dispatcher->sessions() == 3);  // a hello alone, perhaps recorded, ends nothing
    REQUIRE(s.client.authenticate(secret_of(1)) == 0);
    CHECK(s.client.session() != first);
    CHECK(wait_until(*s.loop, [&] { return s.server.dispatcher->sessions() == 2; }));
    CHECK(s.client.served());
    CHECK(other.served());
  }
}

TEST_SUITE("dispatch") {
  TEST_CASE("dispatch: goodbye is answered and ends the session") {
    Setup s;
    s.open_session();
    CHECK(s.status_of(s.client.header(wire::Goodbye::kId), sizeof(wire::Empty)) == 0);
    CHECK(wait_until(*s.loop, [&] { return s.server.dispatcher->sessions() == 0; }));
    const auto header = s.client.header(wire::ServerStatus::kId);
    CHECK_FALSE(s.client.ask(header, wire::Empty{}, {}, 100));
  }

  TEST_CASE("dispatch: an unknown message is bad_message, and the session lives") {
    Setup s;
    s.open_session();
    for (const std::uint16_t id :
         {std::uint16_t{0}, std::uint16_t{9}, wire::Mkdir::kId /* no handler */, std::uint16_t{127},
          std::uint16_t{128}, std::uint16_t{65535}}) {
      CAPTURE(id);
      CHECK(s.status_of(s.client.header(id), 8) == wire_of(Errc::bad_message));
    }
    CHECK(s.client.served());
  }

  TEST_CASE("dispatch: a body of another size than declared is bad_message") {
    Setup s;
    s.open_session();
    for (const std::size_t bytes : {0u, 1u, 31u, 33u, 80u, 200u}) {
      CAPTURE(bytes);
      CHECK(s.status_of(s.client.header(wire::Write::kId), bytes) == wire_of(Errc::bad_message));
    }
    CHECK(s.status_of(s.client.header(wire::Authenticate::kId), 31) == wire_of(Errc::bad_message));
    CHECK(s.client.served());
  }

  TEST_CASE("dispatch: a payload above the declared limit is bad_message, inside or announced") {
    Setup s;
    s.open_session();
    const Bytes name(256);
    CHECK(s.status_of(s.client.header(wire::Lookup::kId), 8, name) == wire_of(Errc::bad_message));
    CHECK(s.status_of(s.client.header(wire::Lookup::kId), 8, Bytes(kLarge)) ==
          wire_of(Errc::bad_message));
    CHECK(s.status_of(s.client.header(wire::ServerStatus::kId), 8, Bytes(1)) ==
          wire_of(Errc::bad_message));
    const Bytes huge(wire::Write::kPayloadMax + 1);
    CHECK(s.status_of(s.client.header(wire::Write::kId), sizeof(wire::Write::Request), huge) ==
          wire_of(Errc::bad_message));
    CHECK(s.client.served());
  }

  TEST_CASE("dispatch: garbage is dropped, and the server lives") {
    Setup s;
    s.open_session();
    const std::uint64_t requests = s.server.dispatcher->counters().requests;
    s.client.send({});
    s.client.send(Bytes(1), Bytes(100));
    s.client.send(Bytes(sizeof(wire::Header) - 1), Bytes(kLarge));
    s.client.send(Bytes(sizeof(wire::Header)));  // version 0
    auto header = s.client.header(wire::ServerStatus::kId);
    header.version = wire::kVersion + 1;
    s.client.send(RawClient::join(header, Bytes(8)));
    header = s.client.header(wire::ServerStatus::kId);
    header.session ^= 1;  // nobody's
    s.client.send(RawClient::join(header, Bytes(8)), Bytes(kLarge));
    run_for(*s.loop, 50);
    CHECK(s.client.replies() == 0);
    CHECK(s.server.dispatcher->counters().requests == requests);
    CHECK(s.client.served());
  }

  TEST_CASE("dispatch: a payload that does not have its checksum is refused") {
    Setup s;
    s.open_session();
    for (const std::size_t bytes : {100u, 100'000u}) {
      CAPTURE(bytes);
      Bytes data = pattern(bytes);
      auto header = s.client.header(wire::Write::kId);
      header.flags = wire::kFlagChecksum;
      header.checksum = crc32c(data);
      CHECK(s.status_of(header, sizeof(wire::Write::Request), data) == 0);
      CHECK(s.server.service->written == data);
      data[bytes / 2] ^= std::byte{4};
      header.request_id += 1000;
      CHECK(s.status_of(header, sizeof(wire::Write::Request), data) == wire_of(Errc::checksum));
    }
    CHECK(s.client.served());
  }

  TEST_CASE("dispatch: an error reply to an announced payload lets its sender go on") {
    Setup s;
    s.open_session();
    s.server.service->drop_payload = true;
    const auto status =
        s.status_of(s.client.header(wire::Write::kId), sizeof(wire::Write::Request), Bytes(kLarge));
    CHECK(status == wire_of(Errc::no_space));
    CHECK(s.client.served());
  }

  TEST_CASE("dispatch: a caller that comes back ends what its earlier connection left waiting") {
    Setup s;
    s.open_session();
    s.server.service->hold_writes = true;
    const Bytes head =
        RawClient::join(s.client.header(wire::Write::kId), Bytes(sizeof(wire::Write::Request)));
    const Bytes data(kLarge);
    UcxCompletion writing;
    s.client.endpoint().start_send(wire::kAmRequest, head, data, writing);
    REQUIRE(wait_until(*s.loop, [&] { return s.server.service->holding == 1; }));
    s.client.reconnect(s.server.fabric->address());
    CHECK(wait_until(
        *s.loop, [&] { return !writing.pending; }, 5'000));
    s.server.service->release.set();
    s.open_session();
    REQUIRE(wait_until(
        *s.loop, [&] { return s.server.service->served_writes == 1; }, 5'000));
    CHECK_FALSE(s.server.service->received);
    CHECK(s.client.served());
  }

  TEST_CASE(
      "dispatch: a caller that does not let its data go keeps a request until the deadline only") {
    StoppedCaller s({}, 100);
    CHECK(wait_until(
        *s.server_loop, [&] { return s.server.service->served_writes == 1; }, 8'000));
    CHECK_FALSE(s.server.service->received);
    CHECK(s.server.dispatcher->sessions() == 0);
  }
}

TEST_SUITE("shutdown") {
  TEST_CASE("shutdown: requests in flight are answered, new ones are refused with shutting_down") {
    Setup s;
    s.open_session();
    const auto held = s.client.header(wire::GetAttributes::kId);
    s.client.send(RawClient::join(held, Bytes(8)));
    REQUIRE(wait_until(*s.loop, [&] { return s.server.service->holding == 1; }));
    Task<void> closing = s.server.dispatcher->close();
    s.server.closed = true;
    CHECK(s.status_of(s.client.header(wire::ServerStatus::kId), 8) == wire_of(Errc::shutting_down));
    CHECK(s.status_of(s.client.header(wire::Write::kId), 32, Bytes(kLarge)) ==
          wire_of(Errc::shutting_down));
    CHECK_FALSE(closing.done());
    s.server.service->release.set();
    const auto answer = s.client.reply_to(held.request_id);
    REQUIRE(answer);
    CHECK(answer->header.status == 0);
    finish(*s.loop, std::move(closing));
    CHECK(s.server.dispatcher->sessions() == 0);
  }

  TEST_CASE("shutdown: a hello is not answered any more") {
    Setup s;
    s.server.close();
    CHECK_FALSE(s.client.hello(secret_of(1), kClusterId, 100));
  }

  TEST_CASE("shutdown: a caller that does not let its data go holds it up for drain_ms at most") {
    ServerOptions options;
    options.drain_ms = 300;
    StoppedCaller s(options, 60'000);
    const std::int64_t began = now_ns();
    s.server.close();
    CHECK(now_ns() - began < 5'000 * kMs);
    CHECK_FALSE(s.server.service->received);
  }
}

}  // namespace
}  // namespace benchfs
