// TCP of the bootstrap ports: whole reads and writes, deadlines, ends of connections.
#include "net/socket.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <vector>

#include "base/clock.hpp"

using namespace benchfs;

namespace {

std::int64_t in_ms(std::int64_t ms) {
  return now_ns() + ms * 1'000'000;
}

struct SocketFixture {
  std::unique_ptr<Loop> loop = std::move(*Loop::create({}));
  Loop::Scope scope{*loop};
};

Task<Result<Socket>> accept_one(Listener* listener) {
  Result<Socket> socket = co_await listener->accept();
  co_return std::move(socket);
}

/// Both ends of a connection.
struct Pair {
  Socket client;
  Socket server;
};
Pair connect_pair(Loop& loop, Listener& listener) {
  auto accepting = accept_one(&listener);
  auto client = loop.run(connect_tcp(loop, "127.0.0.1", listener.port(), in_ms(2000)));
  auto server = loop.run(std::move(accepting));
  REQUIRE(client);
  REQUIRE(server);
  return {std::move(*client), std::move(*server)};
}

TEST_SUITE("socket") {
  TEST_CASE_FIXTURE(SocketFixture, "more than the kernel buffers goes through in full") {
    auto listener = Listener::open(*loop, "127.0.0.1", 0);
    REQUIRE(listener);
    Pair pair = connect_pair(*loop, *listener);
    std::vector<std::byte> sent(16u << 20);
    for (std::size_t i = 0; i < sent.size(); ++i)
      sent[i] = static_cast<std::byte>(i * 7 + (i >> 16));
    std::vector<std::byte> got(sent.size());

    auto writing = pair.client.write_all(sent, in_ms(10'000));
    const Status read = loop->run(pair.server.read_exact(got, in_ms(10'000)));
    const Status written = loop->run(std::move(writing));

    CHECK(read);
    CHECK(written);
    CHECK(got == sent);
  }

  TEST_CASE_FIXTURE(SocketFixture, "a read ends at its deadline") {
    auto listener = Listener::open(*loop, "127.0.0.1", 0);
    Pair pair = connect_pair(*loop, *listener);
    std::array<std::byte, 4> into;
    const std::int64_t began_ms = now_ms();
    const Status read = loop->run(pair.server.read_exact(into, in_ms(50)));
    REQUIRE(!read);
    CHECK(read.error().code == Errc::timed_out);
    CHECK(now_ms() - began_ms >= 49);
  }

  TEST_CASE_FIXTURE(SocketFixture, "a connection that closes in the middle of a read is an error") {
    auto listener = Listener::open(*loop, "127.0.0.1", 0);
    Pair pair = connect_pair(*loop, *listener);
    std::array<std::byte, 4> into;
    auto reading = pair.server.read_exact(into, in_ms(5000));
    REQUIRE(loop->run(pair.client.write_all(std::array<std::byte, 3>{}, in_ms(1000))));
    pair.client.shutdown();
    const Status read = loop->run(std::move(reading));
    REQUIRE(!read);
    CHECK(read.error().code == Errc::unreachable);
  }

  TEST_CASE_FIXTURE(SocketFixture, "nobody listening is unreachable at once") {
    std::uint16_t port = 0;
    {
      auto listener = Listener::open(*loop, "127.0.0.1", 0);
      port = listener->port();
    }
    const std::int64_t began_ms = now_ms();
    const auto socket = loop->run(connect_tcp(*loop, "127.0.0.1", port, in_ms(5000)));
    REQUIRE(!socket);
    CHECK(socket.error().code == Errc::unreachable);
    CHECK(now_ms() - began_ms < 1000);
  }

  TEST_CASE_FIXTURE(SocketFixture, "a host name is looked up, an unknown one is unreachable") {
    auto listener = Listener::open(*loop, "127.0.0.1", 0);
    auto accepting = accept_one(&*listener);
    const auto found = loop->run(connect_tcp(*loop, "localhost", listener->port(), in_ms(5000)));
    CHECK(found);
    (void)loop->run(std::move(accepting));
    const auto unknown = loop->run(connect_tcp(*loop, "no-such-host.invalid", 1, in_ms(5000)));
    REQUIRE(!unknown);
    CHECK(unknown.error().code == Errc::unreachable);
  }

  TEST_CASE_FIXTURE(SocketFixture, "shutdown ends a waiting accept") {
    auto listener = Listener::open(*loop, "127.0.0.1", 0);
    auto accepting = accept_one(&*listener);
    loop->turn();
    listener->shutdown();
    const auto socket = loop->run(std::move(accepting));
    REQUIRE(!socket);
    CHECK(socket.error().code == Errc::shutting_down);
  }

  TEST_CASE_FIXTURE(SocketFixture, "a port that is taken is an error that names it") {
    auto first = Listener::open(*loop, "127.0.0.1", 0);
    auto second = Listener::open(*loop, "127.0.0.1", first->port());
    REQUIRE(!second);
    CHECK(second.error().find("127.0.0.1:" + std::to_string(first->port())) != std::string::npos);
    CHECK(!Listener::open(*loop, "not an address", 0));
  }
}

}  // namespace
