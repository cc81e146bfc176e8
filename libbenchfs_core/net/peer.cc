// One server as the calling side sees it: connecting, the handshake, noticing its death.
//
// Three signs of death: UCX reports an error (tcp); its process is gone (same host: shared memory
// reports nothing); silence for a third of failure_detect, and then no answer to a liveness probe
// in the rest of it.
#include "net/peer.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "net/auth.hpp"
#include "net/host.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kPauseMinNs = kMs / 10;
constexpr std::int64_t kPauseMaxNs = 20 * kMs;
constexpr std::int64_t kGoodbyeMaxNs = 1'000 * kMs;

}  // namespace

Peer::~Peer() {
  BFS_ASSERT(endpoint_ == nullptr && in_flight.empty());
}

bool Peer::process_gone() const {
  return record_.host_id == caller_.host_id_ && process_is_gone(record_.pid);
}

void Peer::add(Caller::Pending& pending) {
  if (places_.empty()) places_.emplace_back();
  pending.position = places_.begin();
  *pending.position = &pending;
  in_flight.splice(in_flight.end(), places_, pending.position);
}

void Peer::remove(Caller::Pending& pending) {
  places_.splice(places_.begin(), in_flight, pending.position);
}

Task<Status> Peer::connect(std::int64_t deadline_ns) {
  const std::uint64_t failures = failures_;
  while (state_ == State::connecting) co_await connecting_.wait();
  if (state_ == State::ready) co_return Status{};
  if (failures_ != failures) co_return std::unexpected(last_error_);

  state_ = State::connecting;
  const Status result = co_await handshake(deadline_ns);
  if (!result) fail(result.error());
  state_ = result ? State::ready : State::disconnected;
  connecting_.wake_all();
  if (!result) co_return std::unexpected(last_error_);
  if (caller_.session_opened_) caller_.session_opened_(index_);
  co_return Status{};
}

Task<Status> Peer::handshake(std::int64_t deadline_ns) {
  if (process_gone()) co_return benchfs::fail(Errc::unreachable, ESRCH, index_);
  co_await caller_.loop().next_turn();  // endpoints are made outside of UCX's callbacks
  auto endpoint =
      Endpoint::connect(caller_.fabric_, record_.ucx_address, [this](ucs_status_t status) {
        Error error = error_from_ucx(status);
        error.server = index_;
        log_debug("server {}: {}", record_.id, ucs_status_string(status));
        fail(error);
      });
  if (!endpoint) co_return std::unexpected(endpoint.error());
  endpoint_ = std::move(*endpoint);
  session_ = 0;

  const auto& options = caller_.options_;
  const auto address = caller_.fabric_.address();
  wire::Hello::Request hello{};
  hello.cluster_id = options.cluster_id;
  hello.nonce = make_nonce();
  hello.proof =
      hello_proof(options.secret, hello.nonce, hello.cluster_id, record_.instance, address);
  hello.host_id = caller_.host_id_;
  hello.pid = getpid();
  RawCall first{wire::Hello::kId, sizeof(hello), sizeof(wire::Hello::Reply), {}, address, {}};
  std::memcpy(first.request.data(), &hello, sizeof(hello));
  BFS_CO_TRY(greeting, co_await caller_.exchange(*this, &first, deadline_ns));
  wire::Hello::Reply welcome;
  std::memcpy(&welcome, greeting.body.data(), sizeof(welcome));
  const auto expected =
      session_proof(options.secret, Side::server, hello.nonce, welcome.nonce, options.cluster_id);
  if (!proofs_equal(expected, welcome.proof)) co_return benchfs::fail(Errc::access, 0, index_);

  session_ = welcome.session;
  const wire::Authenticate::Request proof{
      session_proof(options.secret, Side::client, hello.nonce, welcome.nonce, options.cluster_id)};
  RawCall second{
      wire::Authenticate::kId, sizeof(proof), sizeof(wire::Authenticate::Reply), {}, {}, {}};
  std::memcpy(second.request.data(), &proof, sizeof(proof));
  BFS_CO_TRY(accepted, co_await caller_.exchange(*this, &second, deadline_ns));
  std::memcpy(&limits_, accepted.body.data(), sizeof(limits_));
  co_return Status{};
}

void Peer::fail(Error why) {
  why.server = index_;
  if (endpoint_ == nullptr && state_ != State::connecting) return;
  ++failures_;
  last_error_ = why;
  if (state_ == State::ready) state_ = State::disconnected;
  for (Caller::Pending* pending : in_flight) pending->give_up(caller_.loop(), why);
  if (endpoint_ != nullptr) disconnect(std::move(endpoint_), true).detach();
}

Task<void> Peer::disconnect(std::unique_ptr<Endpoint> endpoint, bool force) {
  const Gate::Pass pass = caller_.background_.enter();
  endpoint->silence();
  co_await caller_.loop().next_turn();  // perhaps called from inside a callback of UCX
  co_await endpoint->close(force);
  co_await free_stuck();
}

Task<void> Peer::free_stuck() {
  const auto stuck = [](const Caller::Pending* pending) { return pending->stuck(); };
  std::int64_t pause_ns = kPauseMinNs;
  int polls = 0;
  while (std::any_of(in_flight.begin(), in_flight.end(), stuck)) {
    co_await caller_.loop().sleep_ns(pause_ns);
    pause_ns = std::min(2 * pause_ns, kPauseMaxNs);
    polls = process_gone() ? polls + 1 : 0;
    if (polls < kPollsBeforeAbandon) continue;
    for (Caller::Pending* pending : in_flight) {
      if (!pending->stuck()) continue;
      log_debug("server {}: abandoned what UCX does not end", record_.id);
      pending->sent.abandon();
      pending->received.abandon();
    }
  }
}

void Peer::watch(std::int64_t now) {
  const auto& options = caller_.options_;
  const auto oldest = std::find_if(in_flight.begin(), in_flight.end(),
                                   [](const Caller::Pending* pending) { return pending->open(); });
  if (oldest == in_flight.end()) return;
  if (process_gone()) {
    log_warn("server {} (pid {}) is gone", record_.id, record_.pid);
    fail(Error{Errc::unreachable, ESRCH, index_});
    return;
  }
  const std::int64_t silent_since = std::max((*oldest)->started_ns, heard_ns);
  bool stuck = false;
  for (Caller::Pending* pending : in_flight) {
    if (!pending->open() || pending->deadline_ns > now) continue;
    pending->give_up(caller_.loop(), Error{Errc::timed_out, 0, index_});
    stuck |= pending->held_by_ucx();
  }
  if (stuck) {
    fail(Error{Errc::timed_out, 0, index_});
    return;
  }
  if (!probing_ && now - silent_since > options.failure_detect_ms * kMs / 3) probe().detach();
}

Task<void> Peer::probe() {
  const Gate::Pass pass = caller_.background_.enter();
  probing_ = true;
  const std::uint32_t timeout_ms = caller_.options_.failure_detect_ms * 2 / 3;
  const std::int64_t began_ns = coarse_now_ns();
  const Status alive = co_await caller_.probe_(record_, timeout_ms);
  probing_ = false;
  if (alive) {
    heard_ns = coarse_now_ns();
  } else if (heard_ns < began_ns && !in_flight.empty()) {
    log_warn("server {} at {}:{} does not answer: {}", record_.id, record_.bootstrap_host,
             record_.bootstrap_port, to_text(alive.error().code));
    fail(Error{Errc::unreachable, alive.error().native, index_});
  }
}

Task<void> Peer::close() {
  while (state_ == State::connecting) co_await connecting_.wait();
  if (state_ != State::ready) co_return;
  const wire::Empty nothing{};
  RawCall farewell{wire::Goodbye::kId, sizeof(nothing), sizeof(wire::Empty), {}, {}, {}};
  std::memcpy(farewell.request.data(), &nothing, sizeof(nothing));
  // A server that does not answer any more is no reason to fail: it will notice by itself.
  const auto answer = co_await caller_.exchange(*this, &farewell, coarse_now_ns() + kGoodbyeMaxNs);
  state_ = State::disconnected;
  if (endpoint_ != nullptr) co_await disconnect(std::move(endpoint_), !answer.has_value());
}

}  // namespace benchfs
