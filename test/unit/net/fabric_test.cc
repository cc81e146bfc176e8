// UCX between two workers of one process: messages with data inside and announced, data that is
// taken later or not at all, and endpoints whose other side has gone.
#include "net/fabric.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <optional>
#include <vector>

#include "fixture.hpp"

namespace benchfs {
namespace {

using namespace net_test;  // NOLINT: the tests' own

/// Two fabrics on one loop, the first connected to the second.
struct Pair {
  explicit Pair(bool persistent = true, std::size_t eager_max = 32768)
      : loop(make_loop()),
        scope(*loop),
        sender(make_fabric(*loop, eager_max)),
        receiver(make_fabric(*loop, eager_max)) {
    REQUIRE(receiver->set_receiver(7, persistent, [this](const AmArrival& arrival) {
      ++arrivals;
      header.assign(arrival.header.begin(), arrival.header.end());
      rendezvous = arrival.rendezvous;
      bytes = arrival.bytes;
      return on_arrival ? on_arrival(arrival) : false;
    }));
    auto connected = Endpoint::connect(*sender, receiver->address(),
                                       [this](ucs_status_t status) { failure = status; });
    REQUIRE(connected);
    endpoint = std::move(*connected);
  }
  ~Pair() {
    if (endpoint != nullptr) finish(*loop, endpoint->close(true));
  }
  Status send(std::span<const std::byte> head, std::span<const std::byte> data) {
    return finish(*loop, endpoint->send(7, head, data));
  }
  std::unique_ptr<Loop> loop;
  Loop::Scope scope;
  std::unique_ptr<Fabric> sender, receiver;
  std::unique_ptr<Endpoint> endpoint;
  std::function<bool(const AmArrival&)> on_arrival;
  int arrivals = 0;
  Bytes header;
  std::size_t bytes = 0;
  bool rendezvous = false;
  std::optional<ucs_status_t> failure;
};

/// Keeps the arrival's data for later.
void keep_in(Pair& pair, std::optional<AmData>& kept) {
  pair.on_arrival = [&](const AmArrival& arrival) {
    kept.emplace(*pair.receiver, arrival);
    return true;
  };
}

TEST_SUITE("fabric") {
  TEST_CASE("fabric: header and data arrive as they were sent, of every size") {
    Pair pair;
    Bytes seen;
    pair.on_arrival = [&](const AmArrival& arrival) {
      AmData data(*pair.receiver, arrival);
      seen.resize(data.bytes());
      if (data.in_memory()) {
        const auto view = data.view();
        seen.assign(view.begin(), view.end());
      }
      return true;
    };
    const Bytes head = pattern(120, 5);
    for (const std::size_t size : {0u, 1u, 100u, 4096u, 8192u, 32768u}) {
      CAPTURE(size);
      const Bytes data = pattern(size, size);
      const int before = pair.arrivals;
      CHECK(pair.send(head, data));
      REQUIRE(wait_until(*pair.loop, [&] { return pair.arrivals > before; }));
      CHECK(pair.header == head);
      CHECK_FALSE(pair.rendezvous);
      CHECK(seen == data);
    }
  }

  TEST_CASE("fabric: data above the eager limit is announced, and fetched into the given buffer") {
    Pair pair;
    std::optional<AmData> kept;
    keep_in(pair, kept);
    const Bytes head = pattern(40, 6);
    const Bytes data = pattern(kLarge, 7);
    Task<Status> sent = pair.endpoint->send(7, head, data);
    REQUIRE(wait_until(*pair.loop, [&] { return kept.has_value(); }));
    CHECK(pair.rendezvous);
    CHECK(kept->bytes() == kLarge);
    CHECK_FALSE(kept->in_memory());
    run_for(*pair.loop, 20);
    CHECK_FALSE(sent.done());  // the buffer is UCX's until it was fetched
    Bytes into(kLarge);
    CHECK(finish(*pair.loop, kept->receive(into)));
    CHECK(finish(*pair.loop, std::move(sent)));
    CHECK(into == data);
  }

  TEST_CASE("fabric: announced data can be fetched from inside the callback") {
    Pair pair(false);
    Bytes into(kLarge);
    UcxCompletion done;
    pair.on_arrival = [&](const AmArrival& arrival) {
      AmData data(*pair.receiver, arrival);
      data.start_receive(into, done);
      return true;
    };
    const Bytes data = pattern(kLarge, 8);
    CHECK(pair.send(pattern(40), data));
    REQUIRE(wait_until(*pair.loop, [&] { return pair.arrivals > 0 && !done.pending; }));
    CHECK(done.status == UCS_OK);
    CHECK(into == data);
  }

  TEST_CASE("fabric: a persistent receiver keeps data that came inside beyond its callback") {
    Pair pair;
    std::optional<AmData> kept;
    keep_in(pair, kept);
    const Bytes data = pattern(3000, 9);
    CHECK(pair.send(pattern(40), data));
    REQUIRE(wait_until(*pair.loop, [&] { return kept.has_value(); }));
    run_for(*pair.loop, 5);
    REQUIRE(kept->in_memory());
    CHECK(std::memcmp(kept->view().data(), data.data(), data.size()) == 0);
    Bytes into(data.size());
    CHECK(finish(*pair.loop, kept->receive(into)));
    CHECK(into == data);
  }

  TEST_CASE("fabric: announced data that nobody wants lets the sender go on") {
    Pair pair;
    const Bytes data = pattern(kLarge);
    CHECK(pair.send(pattern(40), data));  // the receiver returns false
    CHECK(pair.arrivals == 1);
    CHECK(pair.rendezvous);

    std::optional<AmData> kept;
    keep_in(pair, kept);
    Task<Status> sent = pair.endpoint->send(7, Bytes(40), data);
    REQUIRE(wait_until(*pair.loop, [&] { return kept.has_value(); }));
    kept->release();
    CHECK(finish(*pair.loop, std::move(sent)));
    CHECK(pair.send(pattern(40), pattern(10)));
  }

  TEST_CASE("fabric: taken and released within the callback, inside and announced") {
    Pair pair;
    pair.on_arrival = [&](const AmArrival& arrival) {
      AmData data(*pair.receiver, arrival);
      AmData moved = std::move(data);
      moved.release();
      moved.release();
      return true;
    };
    for (int i = 0; i < 100; ++i) {
      CHECK(pair.send(pattern(40), pattern(100)));
      CHECK(pair.send(pattern(40), pattern(64 * 1024)));
    }
    CHECK(wait_until(*pair.loop, [&] { return pair.arrivals == 200; }));
  }

  TEST_CASE("fabric: many sends at once are all delivered") {
    Pair pair;
    const Bytes head = pattern(40);
    const Bytes data = pattern(500);
    std::vector<Task<Status>> sends;
    for (int i = 0; i < 5000; ++i) sends.push_back(pair.endpoint->send(7, head, data));
    for (auto& task : sends) CHECK(finish(*pair.loop, std::move(task)));
    CHECK(wait_until(*pair.loop, [&] { return pair.arrivals == 5000; }));
  }

  TEST_CASE("fabric: an id that nobody receives is dropped, the connection stays") {
    Pair pair;
    CHECK(finish(*pair.loop, pair.endpoint->send(9, Bytes(40), Bytes(100))));
    CHECK(pair.send(pattern(40), pattern(10)));
    CHECK(wait_until(*pair.loop, [&] { return pair.arrivals == 1; }));
  }
}

TEST_SUITE("endpoint") {
  TEST_CASE("endpoint: a closed one refuses to send") {
    Pair pair;
    CHECK(pair.send(pattern(40), pattern(10)));
    finish(*pair.loop, pair.endpoint->close(false));
    const Status sent = pair.send(pattern(40), pattern(10));
    REQUIRE_FALSE(sent);
    CHECK(sent.error().code == Errc::unreachable);
    CHECK_FALSE(pair.failure.has_value());
    finish(*pair.loop, pair.endpoint->close(true));  // a second close does nothing
  }

  TEST_CASE("endpoint: closing in peace delivers what was sent before") {
    Pair pair;
    const Bytes data = pattern(20'000);
    for (int i = 0; i < 50; ++i) {
      UcxCompletion done;
      pair.endpoint->start_send(7, pattern(40), {}, done);
      REQUIRE_FALSE(done.pending);
    }
    finish(*pair.loop, pair.endpoint->close(false));
    CHECK(wait_until(
        *pair.loop, [&] { return pair.arrivals == 50; }, 5'000));
  }

  TEST_CASE("endpoint: closing by force ends a send that nobody fetches") {
    Pair pair;
    std::optional<AmData> kept;
    keep_in(pair, kept);
    const Bytes head = pattern(40);
    const Bytes data = pattern(kLarge);
    Task<Status> sent = pair.endpoint->send(7, head, data);
    REQUIRE(wait_until(*pair.loop, [&] { return kept.has_value(); }));
    finish(*pair.loop, pair.endpoint->close(true), 5'000);
    const Status status = finish(*pair.loop, std::move(sent), 5'000);
    CHECK_FALSE(status);
    kept->release();  // its sender has gone: no harm
  }

  TEST_CASE(
      "endpoint: data announced by a sender that has gone cannot be fetched, and does no harm") {
    Pair pair;
    std::optional<AmData> kept;
    keep_in(pair, kept);
    const Bytes head = pattern(40);
    const Bytes data = pattern(kLarge);
    Task<Status> sent = pair.endpoint->send(7, head, data);
    REQUIRE(wait_until(*pair.loop, [&] { return kept.has_value(); }));
    // The receiver's own endpoint to the sender is closed by force, as a session is that ends.
    auto back = Endpoint::connect(*pair.receiver, pair.sender->address(), [](ucs_status_t) {});
    REQUIRE(back);
    finish(*pair.loop, pair.endpoint->close(true), 5'000);
    finish(*pair.loop, (*back)->close(true), 5'000);
    CHECK_FALSE(finish(*pair.loop, std::move(sent), 5'000));
    Bytes into(kLarge);
    CHECK_FALSE(finish(*pair.loop, kept->receive(into), 5'000));
  }

  TEST_CASE("endpoint: an address of nobody is an error or a failure, not a hang") {
    Pair pair;
    Bytes address(pair.receiver->address().begin(), pair.receiver->address().end());
    finish(*pair.loop, pair.endpoint->close(true));
    pair.endpoint.reset();
    pair.receiver.reset();
    bool failed = false;
    auto endpoint = Endpoint::connect(*pair.sender, address, [&](ucs_status_t) { failed = true; });
    if (!endpoint) return;
    const Bytes head(40);
    UcxCompletion done;
    (*endpoint)->start_send(7, head, {}, done);
    run_for(*pair.loop, 200);
    finish(*pair.loop, (*endpoint)->close(true), 5'000);
    CHECK(wait_until(
        *pair.loop, [&] { return !done.pending; }, 5'000));
  }
}

}  // namespace
}  // namespace benchfs
