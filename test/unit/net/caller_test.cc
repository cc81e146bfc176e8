// The calling side against a real server: connecting, credits, deadlines, dead servers, and replies
// that are wrong.
#include "net/caller.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "fixture.hpp"
#include "net/host.hpp"

namespace benchfs {
namespace {

using namespace net_test;  // NOLINT: the tests' own

struct Setup {
  explicit Setup(ClientOptions options = {}, ServerOptions server_options = {})
      : loop(make_loop()),
        scope(*loop),
        server(*loop, std::move(server_options)),
        client(*loop, server.record(), std::move(options)) {}
  Task<Result<Answer<wire::GetAttributes>>> start_held(std::uint64_t inode) {
    return client.start<wire::GetAttributes>({inode});
  }
  bool wait_holding(int count) {
    return wait_until(*loop, [&] { return server.service->holding == count; });
  }
  std::unique_ptr<Loop> loop;
  Loop::Scope scope;
  Server server;
  Client client;
};

template <class T>
Errc code_of(const Result<T>& result) {
  REQUIRE_FALSE(result);
  CHECK(result.error().server == 0);
  return result.error().code;
}

struct FakeSetup {
  explicit FakeSetup(ClientOptions options = {})
      : loop(make_loop()), scope(*loop), server(*loop), client(*loop, server.record(), options) {}
  /// What a call returns if it is answered with this.
  template <class Change>
  Result<Answer<wire::Read>> answered(Change change,
                                      std::size_t body_bytes = sizeof(wire::Read::Reply),
                                      const Bytes& payload = {}) {
    wire::Read::Request request{};
    request.bytes = 4096;
    auto call = client.start<wire::Read>(request, {}, into);
    wire::Header header = server.next_request();
    header.status = 0;
    header.flags = 0;
    change(header);
    server.reply(header, Bytes(body_bytes), payload);
    return finish(*loop, std::move(call));
  }
  std::unique_ptr<Loop> loop;
  Loop::Scope scope;
  FakeServer server;
  Client client;
  Bytes into = Bytes(4096);
};

TEST_SUITE("caller") {
  TEST_CASE("caller: connects with the first call, once, and tells the server's limits") {
    Setup s;
    CHECK(s.server.dispatcher->sessions() == 0);
    std::vector<Task<Result<Answer<wire::Lookup>>>> calls;
    const std::string_view name = "file";
    for (int i = 0; i < 50; ++i)
      calls.push_back(s.client.start<wire::Lookup>({1}, std::as_bytes(std::span{name})));
    for (auto& call : calls) {
      const auto answer = finish(*s.loop, std::move(call));
      REQUIRE(answer);
      CHECK(answer->body.inode == 4);
    }
    CHECK(s.server.dispatcher->sessions() == 1);
    CHECK(s.client.caller->server_limits(0).rpc_bytes_max == 4321);
  }

  TEST_CASE("caller: the server's error is the call's error, with the server's index") {
    Setup s;
    CHECK(code_of(s.client.lookup("missing")) == Errc::not_found);
    CHECK(s.client.lookup("there"));
  }

  TEST_CASE(
      "caller: data goes out and comes back whole, inside and announced, with checksums or not") {
    for (const bool checksum : {false, true}) {
      ClientOptions options;
      options.checksum = checksum;
      Setup s(options);
      for (const std::size_t bytes : {0u, 1u, 4096u, 32768u, 32769u, 1u << 20, 4u << 20}) {
        CAPTURE(bytes);
        const Bytes data = pattern(bytes, 3);
        const auto written = s.client.call<wire::Write>({}, data);
        REQUIRE(written);
        CHECK(written->body.bytes == bytes);
        CHECK(s.server.service->written == data);
        if (bytes > 0) CHECK(s.server.service->in_memory == (bytes <= 32768));
        Bytes into(bytes);
        wire::Read::Request request{};
        request.offset = 17;
        request.bytes = static_cast<std::uint32_t>(bytes);
        const auto read = s.client.call<wire::Read>(request, {}, into);
        REQUIRE(read);
        CHECK(read->payload_bytes == bytes);
        CHECK(into == pattern(bytes, 17));
      }
    }
  }

  TEST_CASE("caller: two loops in two threads") {
    auto server_loop = make_loop();
    std::atomic<bool> stop = false;
    auto server = std::make_unique<Server>(*server_loop);
    const ServerRecord record = server->record();
    std::thread thread([&] {
      server_loop->run_until([&] { return stop.load(); });
      server.reset();
    });
    {
      auto loop = make_loop();
      Client client(*loop, record);
      const Bytes data = pattern(kLarge);
      for (int i = 0; i < 200; ++i) {
        const auto written = client.call<wire::Write>({}, data);
        CHECK(written);
        CHECK(client.lookup("name"));
      }
    }
    stop = true;
    server_loop->wake();
    thread.join();
  }

  TEST_CASE("caller: credits bound what is in flight at one server") {
    ClientOptions options;
    options.credits = 3;
    Setup s(options);
    std::vector<Task<Result<Answer<wire::GetAttributes>>>> calls;
    for (std::uint64_t i = 0; i < 20; ++i) calls.push_back(s.start_held(i));
    REQUIRE(s.wait_holding(3));
    run_for(*s.loop, 50);
    CHECK(s.server.service->most_holding == 3);
    s.server.service->release.set();
    for (std::uint64_t i = 0; i < 20; ++i) {
      const auto answer = finish(*s.loop, std::move(calls[i]));
      REQUIRE(answer);
      CHECK(answer->body.attributes.inode == i);
    }
    CHECK(s.server.service->most_holding <= 3);
  }

  TEST_CASE("caller: close says goodbye") {
    Setup s;
    CHECK(s.client.lookup("x"));
    CHECK(s.server.dispatcher->sessions() == 1);
    s.client.close();
    CHECK(wait_until(*s.loop, [&] { return s.server.dispatcher->sessions() == 0; }));
  }

  TEST_CASE("caller: a server that shuts down says so") {
    Setup s;
    CHECK(s.client.lookup("x"));
    auto held = s.start_held(1);
    REQUIRE(s.wait_holding(1));
    Task<void> closing = s.server.dispatcher->close();
    s.server.closed = true;
    CHECK(code_of(s.client.lookup("x")) == Errc::shutting_down);
    s.server.service->release.set();
    CHECK(finish(*s.loop, std::move(held)));
    finish(*s.loop, std::move(closing));
  }
}

TEST_SUITE("caller handshake") {
  TEST_CASE(
      "caller: with a wrong secret calls end at the deadline, and the server has no session") {
    ClientOptions options;
    options.secret = secret_of(2);
    options.deadline_ms = 300;
    Setup s(options);
    CHECK(code_of(s.client.lookup("x")) == Errc::timed_out);
    CHECK(s.server.dispatcher->sessions() == 0);
  }

  TEST_CASE("caller: another cluster's server is stale") {
    ClientOptions options;
    options.cluster_id = kClusterId + 1;
    Setup s(options);
    CHECK(code_of(s.client.lookup("x")) == Errc::stale);
  }

  TEST_CASE("caller: a server without the secret is refused, and is told nothing more") {
    FakeSetup s;
    s.server.wrong_proof = true;
    CHECK(code_of(s.client.lookup("x")) == Errc::access);
    s.server.wrong_proof = false;
    auto call = s.client.start<wire::Lookup>({1});
    const wire::Header header = s.server.next_request();
    s.server.reply(header, Bytes(sizeof(wire::Lookup::Reply)));
    CHECK(finish(*s.loop, std::move(call)));
  }

  TEST_CASE("caller: a call before the server is active waits for it") {
    ServerOptions server_options;
    server_options.activate = false;
    Setup s({}, server_options);
    auto call = s.client.start<wire::Lookup>({1});
    run_for(*s.loop, 50);
    CHECK_FALSE(call.done());
    s.server.activate();
    CHECK(finish(*s.loop, std::move(call)));
  }
}

TEST_SUITE("caller failures") {
  TEST_CASE("caller: a call without answer ends at its deadline, the next one is served") {
    ClientOptions options;
    options.deadline_ms = 200;
    Setup s(options);
    CHECK(s.client.lookup("x"));
    const std::int64_t began = now_ns();
    CHECK(code_of(s.client.call<wire::GetAttributes>({1})) == Errc::timed_out);
    CHECK(now_ns() - began >= 150 * kMs);
    CHECK(now_ns() - began < 5'000 * kMs);
    CHECK(s.client.lookup("x"));
    s.server.service->release.set();  // the late reply finds nobody
    run_for(*s.loop, 50);
    CHECK(s.client.lookup("x"));
  }

  TEST_CASE("caller: calls that wait for a credit end at their deadline too") {
    ClientOptions options;
    options.deadline_ms = 300;
    options.credits = 2;
    Setup s(options);
    std::vector<Task<Result<Answer<wire::GetAttributes>>>> calls;
    const std::int64_t began = now_ns();
    for (std::uint64_t i = 0; i < 10; ++i) calls.push_back(s.start_held(i));
    for (auto& call : calls) CHECK(code_of(finish(*s.loop, std::move(call))) == Errc::timed_out);
    CHECK(now_ns() - began < 5'000 * kMs);
  }

  TEST_CASE("caller: silence is probed; a server that lives is waited for") {
    ClientOptions options;
    options.failure_detect_ms = 150;
    Setup s(options);
    auto held = s.start_held(1);
    REQUIRE(wait_until(*s.loop, [&] { return s.client.probes >= 3; }));
    CHECK_FALSE(held.done());
    s.server.service->release.set();
    CHECK(finish(*s.loop, std::move(held)));
  }

  TEST_CASE("caller: a failed probe ends all calls in flight with unreachable") {
    ClientOptions options;
    options.failure_detect_ms = 150;
    options.credits = 4;
    Setup s(options);
    std::vector<Task<Result<Answer<wire::GetAttributes>>>> calls;
    for (std::uint64_t i = 0; i < 10; ++i) calls.push_back(s.start_held(i));
    REQUIRE(s.wait_holding(4));
    s.client.server_lives = false;
    const std::int64_t began = now_ns();
    for (auto& call : calls) CHECK(code_of(finish(*s.loop, std::move(call))) == Errc::unreachable);
    CHECK(now_ns() - began < 5'000 * kMs);
    CHECK(s.client.probes >= 1);
    // It was not dead after all: the next call connects again.
    s.client.server_lives = true;
    s.server.service->release.set();
    CHECK(s.client.lookup("x"));
    CHECK(wait_until(*s.loop, [&] { return s.server.dispatcher->sessions() == 1; }));
  }

  TEST_CASE("caller: when a call has failed, UCX does not touch its buffers any more") {
    ClientOptions options;
    options.failure_detect_ms = 150;
    Setup s(options);
    CHECK(s.client.lookup("x"));
    s.server.service->hold_writes = true;
    s.client.server_lives = false;
    {
      const Bytes data = pattern(kLarge);
      CHECK(code_of(s.client.call<wire::Write>({}, data)) == Errc::unreachable);
    }
    s.server.service->release.set();  // now the server asks for the data
    s.client.server_lives = true;
    CHECK(s.client.lookup("x"));
    CHECK(wait_until(*s.loop, [&] { return s.server.service->served_writes == 1; }));
    CHECK_FALSE(s.server.service->received);
  }

  TEST_CASE(
      "caller: a deadline in the middle of a transfer closes the connection, and the next call "
      "opens "
      "another") {
    ClientOptions options;
    options.deadline_ms = 200;
    Setup s(options);
    CHECK(s.client.lookup("x"));
    s.server.service->hold_writes = true;
    const Bytes data = pattern(kLarge);
    CHECK(code_of(s.client.call<wire::Write>({}, data)) == Errc::timed_out);
    s.server.service->release.set();
    CHECK(s.client.lookup("x"));
    s.server.service->hold_writes = false;
    CHECK(s.client.call<wire::Write>({}, data));
    CHECK(s.server.service->written == data);
    CHECK(wait_until(*s.loop, [&] { return s.server.dispatcher->sessions() == 1; }));
  }

  TEST_CASE("caller: a server process of this host that has gone is noticed without a probe") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    FakeServer server(*loop);
    ServerRecord record = server.record();
    record.host_id = host_id();
    const pid_t child = fork();
    if (child == 0) _exit(0);
    REQUIRE(child > 0);
    waitpid(child, nullptr, 0);
    record.pid = child;  // as gone as can be
    Client client(*loop, record);
    const std::int64_t began = now_ns();
    CHECK(code_of(client.lookup("x")) == Errc::unreachable);
    CHECK(now_ns() - began < 1'000 * kMs);
    CHECK(client.probes == 0);
  }

  TEST_CASE("caller: a server that never answers a hello is given up at the deadline") {
    ClientOptions options;
    options.deadline_ms = 200;
    FakeSetup s(options);
    s.server.silent_hello = true;
    CHECK(code_of(s.client.lookup("x")) == Errc::timed_out);
    s.server.silent_hello = false;
    auto call = s.client.start<wire::Lookup>({1});
    s.server.reply(s.server.next_request(), Bytes(sizeof(wire::Lookup::Reply)));
    CHECK(finish(*s.loop, std::move(call)));
  }
}

constexpr std::size_t kReadReply = sizeof(wire::Read::Reply);

TEST_SUITE("caller replies") {
  TEST_CASE("replies: wrong message, body or payload end the call with bad_message") {
    FakeSetup s;
    const auto nothing = [](wire::Header&) {};
    CHECK(s.answered(nothing));
    CHECK(code_of(s.answered([](wire::Header& h) { h.msg_id = wire::Write::kId; })) ==
          Errc::bad_message);
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{8}, kReadReply - 1, kReadReply + 1,
                                    std::size_t{80}, std::size_t{500}}) {
      CAPTURE(bytes);
      CHECK(code_of(s.answered(nothing, bytes)) == Errc::bad_message);
    }
    CHECK(code_of(s.answered(nothing, kReadReply, Bytes(4097))) == Errc::bad_message);
    CHECK(code_of(s.answered(nothing, kReadReply, Bytes(kLarge))) == Errc::bad_message);
    const auto good = s.answered(nothing, kReadReply, Bytes(4096, std::byte{7}));
    REQUIRE(good);
    CHECK(good->payload_bytes == 4096);
    CHECK(s.into.back() == std::byte{7});
  }

  TEST_CASE("replies: a status that does not exist is bad_message, one that does is the error") {
    FakeSetup s;
    CHECK(code_of(s.answered([](wire::Header& h) { h.status = 999; })) == Errc::bad_message);
    CHECK(code_of(s.answered([](wire::Header& h) { h.status = 3; }, 0)) == Errc::no_space);
    CHECK(code_of(s.answered([](wire::Header& h) { h.status = 3; }, 16, Bytes(100))) ==
          Errc::no_space);
  }

  TEST_CASE("replies: a payload that does not have its checksum is noticed") {
    FakeSetup s;
    const Bytes data = pattern(4096);
    const auto sum = [&](std::uint32_t flip) {
      return [&data, flip](wire::Header& h) {
        h.flags = wire::kFlagChecksum;
        h.checksum = crc32c(data) ^ flip;
      };
    };
    CHECK(s.answered(sum(0), kReadReply, data));
    CHECK(code_of(s.answered(sum(1), kReadReply, data)) == Errc::checksum);
  }

  TEST_CASE("replies: strays are dropped, and the call gets its own") {
    FakeSetup s;
    auto call = s.client.start<wire::Read>({}, {}, s.into);
    const wire::Header right = s.server.next_request();
    const Bytes body(kReadReply);
    s.server.raw_reply({});
    s.server.raw_reply(Bytes(39));
    for (const std::uint64_t id :
         {right.request_id + 1, right.request_id + (std::uint64_t{1} << 32), ~std::uint64_t{0},
          right.request_id ^ (std::uint64_t{1} << 63)}) {
      wire::Header header = right;
      header.request_id = id;
      s.server.reply(header, body);
      s.server.reply(header, body, Bytes(kLarge));
    }
    wire::Header header = right;
    header.version = 2;
    s.server.reply(header, body);
    header = right;
    header.session ^= 1;  // of somebody who does not know the session
    s.server.reply(header, body);
    run_for(*s.loop, 20);
    CHECK_FALSE(call.done());
    s.server.reply(right, body);
    CHECK(finish(*s.loop, std::move(call)));
    s.server.reply(right, body);  // a second time
    run_for(*s.loop, 20);
  }
}

}  // namespace
}  // namespace benchfs
