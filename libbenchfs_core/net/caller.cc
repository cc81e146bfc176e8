// Calls: a slot in the table of pending calls, one message out, one reply in.
#include "net/caller.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/crc32c.hpp"
#include "base/log.hpp"
#include "net/host.hpp"
#include "net/peer.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kMs = 1'000'000;

/// Fine enough to notice a gone neighbour soon, coarse enough to cost nothing.
std::int64_t watch_interval_ns(std::uint32_t failure_detect_ms) {
  return std::clamp<std::int64_t>(failure_detect_ms / 12, 20, 250) * kMs;
}

}  // namespace

/// Suspends until the call is settled.
struct SettledWait {
  bool& settled;
  std::coroutine_handle<>& waiter;
  bool await_ready() const noexcept { return settled; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept { waiter = handle; }
  void await_resume() const noexcept {}
};

void Caller::Pending::settle(Loop& loop) {
  settled = true;
  if (waiter) loop.post(std::exchange(waiter, {}));
}

void Caller::Pending::give_up(Loop& loop, Error why) {
  if (!open()) return;
  error = why;
  if (!settled) settle(loop);
}

Caller::Caller(Fabric& fabric, Options options, const std::vector<ServerRecord>& servers,
               Probe probe)
    : fabric_(fabric),
      options_(options),
      probe_(std::move(probe)),
      host_id_(host_id()),
      watchdog_(fabric.loop(), watch_interval_ns(options.failure_detect_ms), [this] { watch(); }) {
  for (std::size_t i = 0; i < servers.size(); ++i) {
    peers_.push_back(
        std::make_unique<Peer>(*this, static_cast<ServerIndex>(i), servers[i], options_.credits));
  }
}

Caller::~Caller() {
  BFS_ASSERT(background_.inside() == 0);
}

Status Caller::open() {
  return fabric_.set_receiver(wire::kAmReply, false,
                              [this](const AmArrival& arrival) { return replied(arrival); });
}

const wire::Authenticate::Reply& Caller::server_limits(ServerIndex server) const {
  return peers_[server]->limits();
}

Task<Result<RawAnswer>> Caller::call_raw(ServerIndex server, RawCall call) {
  BFS_ASSERT(server < peers_.size());
  Peer& peer = *peers_[server];
  const std::int64_t deadline_ns = coarse_now_ns() + options_.deadline_ms * kMs;
  const std::uint64_t failures = peer.failures();
  if (!call.waits) co_await peer.credits.acquire();
  Result<RawAnswer> answer = fail(Errc::unreachable, 0, server);
  if (peer.failures() != failures) {
    answer = std::unexpected(peer.last_error());  // it was found dead while we waited for a credit
  } else if (coarse_now_ns() >= deadline_ns) {
    answer = fail(Errc::timed_out, 0, server);
  } else {
    Status connected;
    if (!peer.ready()) connected = co_await peer.connect(deadline_ns);
    if (connected) {
      answer = co_await exchange(peer, &call, deadline_ns);
    } else {
      answer = std::unexpected(connected.error());
    }
  }
  if (!call.waits) peer.credits.release();
  co_return answer;
}

Task<Result<RawAnswer>> Caller::exchange(Peer& peer, const RawCall* call,
                                         std::int64_t deadline_ns) {
  Pending pending;
  pending.peer = &peer;
  pending.deadline_ns = deadline_ns;
  pending.into = call->reply_into;
  pending.msg_id = call->msg_id;
  pending.reply_bytes = call->reply_bytes;

  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  slots_[index].pending = &pending;
  const std::uint64_t request_id = (std::uint64_t{++slots_[index].generation} << 32) | index;
  peer.add(pending);

  const std::int64_t now = coarse_now_ns();
  pending.started_ns = now;
  wire::Header header{};
  header.version = wire::kVersion;
  header.msg_id = call->msg_id;
  header.deadline_ms =
      static_cast<std::uint32_t>(std::max<std::int64_t>(1, (deadline_ns - now) / kMs));
  header.epoch = epoch_;
  header.session = peer.session();
  pending.session = header.session;
  header.request_id = request_id;
  if (options_.checksum) {
    header.flags = wire::kFlagChecksum;
    header.checksum = crc32c(call->payload);
  }
  std::array<std::byte, sizeof(header) + wire::kBodyMax> out;
  std::memcpy(out.data(), &header, sizeof(header));
  std::memcpy(out.data() + sizeof(header), call->request.data(), call->request_bytes);
  const std::span<const std::byte> out_bytes{out.data(), sizeof(header) + call->request_bytes};

  const Endpoint* const endpoint = peer.endpoint();
  if (endpoint == nullptr) {
    pending.give_up(loop(), peer.last_error());
  } else {
    peer.endpoint()->start_send(wire::kAmRequest, out_bytes, call->payload, pending.sent);
    if (!pending.sent.pending && pending.sent.status != UCS_OK) {
      Error error = error_from_ucx(pending.sent.status);
      error.server = peer.index();
      pending.give_up(loop(), error);
    }
  }
  co_await SettledWait{pending.settled, pending.waiter};

  // UCX has to let go of its buffers; closing the endpoint by force makes it.
  const bool stuck = !pending.replied && pending.held_by_ucx();
  if (stuck && peer.endpoint() == endpoint) peer.fail(*pending.error);
  co_await UcxWait{pending.sent};
  const ucs_status_t received = co_await UcxWait{pending.received};
  slots_[index].pending = nullptr;
  free_slots_.push_back(index);
  peer.remove(pending);

  if (!pending.replied) co_return std::unexpected(*pending.error);
  if (pending.reply_header.status != 0) {
    co_return fail(errc_from_wire(pending.reply_header.status), 0, peer.index());
  }
  if (received != UCS_OK) {
    Error error = pending.error.value_or(error_from_ucx(received));
    error.server = peer.index();
    co_return std::unexpected(error);
  }
  if ((pending.reply_header.flags & wire::kFlagChecksum) != 0 &&
      crc32c(call->reply_into.first(pending.answer.payload_bytes)) !=
          pending.reply_header.checksum) {
    co_return fail(Errc::checksum, 0, peer.index());
  }
  co_return pending.answer;
}

bool Caller::replied(const AmArrival& arrival) {
  wire::Header header;
  if (arrival.header.size() < sizeof(header)) return false;
  std::memcpy(&header, arrival.header.data(), sizeof(header));
  const auto index = static_cast<std::uint32_t>(header.request_id);
  if (header.version != wire::kVersion || index >= slots_.size()) return false;
  Pending* pending = slots_[index].pending;
  // A reply that comes after its call has given up finds nobody: dropped. So is one that does not
  // know the session, which its server alone was told.
  if (pending == nullptr || slots_[index].generation != header.request_id >> 32 ||
      pending->settled || pending->session != header.session) {
    return false;
  }
  Peer& peer = *pending->peer;
  peer.heard_ns = coarse_now_ns();
  const auto body = arrival.header.subspan(sizeof(header));
  const bool well_formed = header.msg_id == pending->msg_id &&
                           (header.status != 0 || body.size() == pending->reply_bytes) &&
                           arrival.bytes <= pending->into.size();
  if (!well_formed) {
    log_warn("server {}: malformed reply to {}", peer.record().id,
             wire::message_name(pending->msg_id));
    pending->give_up(loop(), Error{Errc::bad_message, 0, peer.index()});
    return false;
  }
  pending->replied = true;
  pending->reply_header = header;
  bool taken = false;
  if (header.status == 0) {
    std::memcpy(pending->answer.body.data(), body.data(), body.size());
    pending->answer.payload_bytes = arrival.bytes;
    if (arrival.bytes > 0) {
      AmData data(fabric_, arrival);
      data.start_receive(pending->into, pending->received);
      taken = true;
    }
  }
  pending->settle(loop());
  return taken;
}

void Caller::watch() {
  const std::int64_t now = coarse_now_ns();
  for (auto& peer : peers_) {
    if (!peer->in_flight.empty()) peer->watch(now);
  }
}

Task<void> Caller::close() {
  std::vector<Task<void>> closing;
  for (auto& peer : peers_) closing.push_back(peer->close());
  for (auto& task : closing) co_await task;
  background_.close();
  co_await background_.drained();
}

}  // namespace benchfs
