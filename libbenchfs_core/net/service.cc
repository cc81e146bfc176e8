// Requests that arrive: checked against the message's declaration, given to their handler,
// answered.
//
// Nothing in a message is believed before it is checked: the header's version and size, the
// session, the body's size, the payload's size and kind. A caller without a session gets no answer
// (there is no way to it); one with a session gets an error.
#include "net/service.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/clock.hpp"
#include "base/crc32c.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "net/auth.hpp"
#include "net/host.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kHandshakeMaxMs = 10'000;
// Not at once: a socket that UCX 1.13 (and later) has given up, but that is still being emptied,
// must not see the other side's end, or UCX uses freed memory there.
constexpr std::int64_t kSupersededMs = 1'000;
constexpr std::int64_t kReapNs = 2'000'000'000;
constexpr std::int64_t kPauseMinNs = 100'000;
constexpr std::int64_t kPauseMaxNs = 50'000'000;
constexpr std::uint32_t kDeadlineDefaultMs = 60'000;  // of a request that names none

struct ReplyBytes {
  std::array<std::byte, sizeof(wire::Header) + wire::kBodyMax> bytes;
  std::size_t size;
};

ReplyBytes encode_reply(const wire::Header& request, std::uint16_t status, Epoch epoch,
                        std::span<const std::byte> body, std::span<const std::byte> data) {
  wire::Header header{};
  header.version = wire::kVersion;
  header.msg_id = request.msg_id;
  header.status = status;
  header.epoch = epoch;
  header.session = request.session;
  header.request_id = request.request_id;
  if ((request.flags & wire::kFlagChecksum) != 0 && !data.empty()) {
    header.flags = wire::kFlagChecksum;
    header.checksum = crc32c(data);
  }
  ReplyBytes out;
  std::memcpy(out.bytes.data(), &header, sizeof(header));
  if (!body.empty()) std::memcpy(out.bytes.data() + sizeof(header), body.data(), body.size());
  out.size = sizeof(header) + body.size();
  return out;
}

/// A transfer that needs the caller's help, noted in its session while it is under way: a caller
/// that was stopped must not keep the server's buffers for ever.
class Transfer {
 public:
  Transfer(Session& session, std::int64_t deadline_ns, UcxCompletion& done) : session_(session) {
    if (done.pending) place_ = session_.transfers.emplace(deadline_ns, &done);
  }
  ~Transfer() {
    if (place_) session_.transfers.erase(*place_);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

 private:
  Session& session_;
  std::optional<std::multimap<std::int64_t, UcxCompletion*>::iterator> place_;
};

}  // namespace

// ---- Incoming ----

Incoming::Incoming(Dispatcher& dispatcher, std::shared_ptr<Session> session,
                   const AmArrival& arrival, AmData data)
    : dispatcher_(&dispatcher),
      session_(std::move(session)),
      pass_(dispatcher.requests_.enter()),
      payload_(std::move(data)) {
  std::memcpy(&header_, arrival.header.data(), sizeof(header_));
  const std::uint32_t left_ms = header_.deadline_ms != 0 ? header_.deadline_ms : kDeadlineDefaultMs;
  deadline_ns_ = coarse_now_ns() + std::int64_t{left_ms} * 1'000'000;
  const auto body = arrival.header.subspan(sizeof(header_));
  std::memcpy(body_.data(), body.data(), body.size());
  ++session_->in_flight;
}

Incoming::~Incoming() {
  if (session_ != nullptr) --session_->in_flight;
}

Status Incoming::verify(std::span<const std::byte> payload) const {
  if ((header_.flags & wire::kFlagChecksum) == 0 || payload.empty()) return {};
  if (crc32c(payload) == header_.checksum) return {};
  log_warn("{} of session {:x}: the payload's checksum is wrong",
           wire::message_name(header_.msg_id), session_->id);
  return benchfs::fail(Errc::checksum);
}

Task<Status> Incoming::receive(std::span<std::byte> into) {
  const std::size_t bytes = payload_.bytes();
  UcxCompletion done;
  payload_.start_receive(into, done);
  const Transfer transfer(*session_, deadline_ns_, done);
  const ucs_status_t status = co_await UcxWait{done};
  if (status != UCS_OK) co_return std::unexpected(error_from_ucx(status));
  co_return verify(into.first(bytes));
}

Task<void> Incoming::send_reply(std::uint16_t status, std::span<const std::byte> body,
                                std::span<const std::byte> data) {
  payload_.release();
  if (session_->failed) co_return;
  const ReplyBytes reply = encode_reply(header_, status, dispatcher_->epoch_, body, data);
  const std::span<const std::byte> header{reply.bytes.data(), reply.size};
  UcxCompletion done;
  session_->endpoint->start_send(wire::kAmReply, header, data, done);
  const Transfer transfer(*session_, deadline_ns_, done);
  const ucs_status_t sent = co_await UcxWait{done};
  if (sent != UCS_OK) {
    log_debug("reply to {} of session {:x} was not sent: {}", wire::message_name(header_.msg_id),
              session_->id, ucs_status_string(sent));
  }
}

Task<void> Incoming::fail(Errc code) {
  log_debug("{} of session {:x}: {}", wire::message_name(header_.msg_id), session_->id,
            to_text(code));
  return send_reply(static_cast<std::uint16_t>(code), {}, {});
}

// ---- Dispatcher ----

Dispatcher::Dispatcher(Fabric& fabric, Options options)
    : fabric_(fabric),
      options_(std::move(options)),
      host_id_(host_id()),
      reaper_(fabric.loop(), kReapNs, [this] { reap(); }) {
  add<wire::Authenticate>(*this, &Dispatcher::authenticate);
  add<wire::Goodbye>(*this, &Dispatcher::goodbye);
}

Dispatcher::~Dispatcher() {
  BFS_ASSERT(stopped_ || sessions_.empty());
}

Status Dispatcher::open() {
  return fabric_.set_receiver(wire::kAmRequest, true,
                              [this](const AmArrival& arrival) { return arrived(arrival); });
}

bool Dispatcher::arrived(const AmArrival& arrival) {
  wire::Header header;
  if (arrival.header.size() < sizeof(header)) {
    log_warn("dropped a message of {} bytes: shorter than a header", arrival.header.size());
    return false;
  }
  std::memcpy(&header, arrival.header.data(), sizeof(header));
  if (header.version != wire::kVersion) {
    log_warn("dropped a message of protocol version {}; this server speaks {}", header.version,
             wire::kVersion);
    return false;
  }
  if (header.msg_id == wire::Hello::kId) {
    hello(header, arrival);
    return false;
  }
  const auto found = sessions_.find(header.session);
  if (found == sessions_.end()) {
    // Servers that stop at once end each other's sessions: such a goodbye is no news.
    if (header.msg_id != wire::Goodbye::kId) {
      log_warn("dropped a {} of unknown session {:x}", wire::message_name(header.msg_id),
               header.session);
    }
    return false;
  }
  const auto& session = found->second;
  const auto refused = [&](Errc code) {
    if (!housekeeping_.closed()) refuse(session, header, code).detach();
    return false;
  };
  if (!session->authenticated && header.msg_id != wire::Authenticate::kId)
    return refused(Errc::access);
  if (header.msg_id >= kIdMax || !entries_[header.msg_id].run) return refused(Errc::bad_message);
  const Entry& entry = entries_[header.msg_id];
  const bool body_fits = arrival.header.size() == sizeof(header) + entry.body_bytes;
  const bool payload_fits = arrival.bytes <= entry.payload_max &&
                            !(arrival.rendezvous && entry.payload_max <= wire::kInlineMax);
  if (!body_fits || !payload_fits) {
    log_warn("{} of session {:x} is malformed: body of {} bytes, payload of {}", entry.name,
             header.session, arrival.header.size() - sizeof(header), arrival.bytes);
    return refused(Errc::bad_message);
  }
  if (requests_.closed()) return refused(Errc::shutting_down);
  ++counters_.requests;
  entry.run(Incoming(*this, session, arrival, AmData(fabric_, arrival)));
  return true;
}

Task<void> Dispatcher::refuse(std::shared_ptr<Session> session, wire::Header header, Errc code) {
  const Gate::Pass pass = housekeeping_.enter();
  ++session->in_flight;
  if (!session->failed) {
    const ReplyBytes reply = encode_reply(header, static_cast<std::uint16_t>(code), epoch_, {}, {});
    const std::span<const std::byte> bytes{reply.bytes.data(), reply.size};
    UcxCompletion done;
    session->endpoint->start_send(wire::kAmReply, bytes, {}, done);
    co_await UcxWait{done};
  }
  --session->in_flight;
}

void Dispatcher::hello(const wire::Header& header, const AmArrival& arrival) {
  wire::Hello::Request request;
  if (arrival.header.size() != sizeof(header) + sizeof(request) || arrival.rendezvous ||
      arrival.bytes == 0 || arrival.bytes > wire::kAddressMax) {
    log_warn("dropped a malformed hello");
    return;
  }
  std::memcpy(&request, arrival.header.data() + sizeof(header), sizeof(request));
  const std::span<const std::byte> address{static_cast<const std::byte*>(arrival.data),
                                           arrival.bytes};
  const auto expected =
      hello_proof(options_.secret, request.nonce, request.cluster_id, options_.instance, address);
  if (!proofs_equal(expected, request.proof)) {
    // UCX does not survive an address that it did not make: without the proof it is not looked at.
    log_warn("dropped a hello without proof of the job's secret (pid {} there)", request.pid);
    return;
  }
  if (stopping_ || sessions_.size() >= options_.max_sessions) {
    log_warn("dropped a hello: {}", stopping_ ? "shutting down" : "max_sessions is reached");
    return;
  }
  welcome(header, request, {address.begin(), address.end()}).detach();
}

Task<void> Dispatcher::welcome(wire::Header header, wire::Hello::Request request,
                               std::vector<std::byte> address) {
  const Gate::Pass pass = housekeeping_.enter();
  co_await activated_.wait();
  co_await fabric_.loop().next_turn();  // endpoints are made outside of UCX's callbacks
  if (stopping_) co_return;
  auto session = std::make_shared<Session>();
  do {
    session->id = random_u64();
  } while (session->id == 0 || sessions_.contains(session->id));
  const std::uint64_t id = session->id;
  auto endpoint =
      Endpoint::connect(fabric_, address, [this, id](ucs_status_t) { end_session(id, true); });
  if (!endpoint) {
    log_warn("cannot connect to the caller of a hello: {}", to_text(endpoint.error().code));
    co_return;
  }
  session->endpoint = std::move(*endpoint);
  session->client_nonce = request.nonce;
  session->server_nonce = make_nonce();
  session->caller = hash64(std::span<const std::byte>(address));
  session->host_id = request.host_id;
  session->pid = request.pid;
  session->opened_ms = now_ms();
  session->uid = options_.uid;
  session->gid = options_.gid;
  sessions_.emplace(id, session);
  if (request.cluster_id != cluster_id_) {
    co_await refuse(session, header, Errc::stale);
    end_session(id, false);
    co_return;
  }
  ++session->in_flight;
  const wire::Hello::Reply body{id, session->server_nonce,
                                session_proof(options_.secret, Side::server, session->client_nonce,
                                              session->server_nonce, cluster_id_)};
  const ReplyBytes reply = encode_reply(header, 0, epoch_, std::as_bytes(std::span{&body, 1}), {});
  const std::span<const std::byte> bytes{reply.bytes.data(), reply.size};
  UcxCompletion done;
  session->endpoint->start_send(wire::kAmReply, bytes, {}, done);
  co_await UcxWait{done};
  --session->in_flight;
}

Task<void> Dispatcher::authenticate(Incoming incoming) {
  Session& session = incoming.session();
  const auto request = incoming.body<wire::Authenticate>();
  const auto expected = session_proof(options_.secret, Side::client, session.client_nonce,
                                      session.server_nonce, cluster_id_);
  if (!proofs_equal(expected, request.proof)) {
    log_warn("session {:x} (pid {}) gave a wrong proof of the job's secret", session.id,
             session.pid);
    co_await incoming.fail(Errc::access);
    end_session(session.id, false);
    co_return;
  }
  session.authenticated = true;
  // It has come back: what it left in an earlier session waits for nobody.
  const std::uint64_t earlier = std::exchange(callers_[session.caller], session.id);
  const auto found = earlier != session.id ? sessions_.find(earlier) : sessions_.end();
  if (found != sessions_.end()) found->second->superseded_ms = now_ms();
  const wire::Authenticate::Reply reply{options_.default_chunk_bytes, options_.rpc_bytes_max, 0};
  co_await incoming.reply<wire::Authenticate>(reply);
}

Task<void> Dispatcher::goodbye(Incoming incoming) {
  co_await incoming.reply<wire::Goodbye>(wire::Empty{});
  end_session(incoming.session().id, false);
}

void Dispatcher::end_session(std::uint64_t id, bool force) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  auto session = std::move(found->second);
  sessions_.erase(found);
  const auto latest = callers_.find(session->caller);
  if (latest != callers_.end() && latest->second == id) callers_.erase(latest);
  session->failed = true;
  log_debug("session {:x} ends{}", id, force ? " by force" : "");
  for (const auto& function : session_end_) function(id);
  finish_session(std::move(session), force).detach();
}

void Dispatcher::end_sessions(bool force) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  for (const auto id : ids) end_session(id, force);
}

Task<void> Dispatcher::finish_session(std::shared_ptr<Session> session, bool force) {
  const Gate::Pass pass = housekeeping_.enter();
  co_await fabric_.loop().next_turn();  // perhaps called from inside a callback of UCX
  // Closing ends the sends and receives of this session's requests; then their handlers end.
  co_await session->endpoint->close(force);
  std::int64_t pause_ns = kPauseMinNs;
  int polls = 0;
  while (session->in_flight > 0) {
    co_await fabric_.loop().sleep_ns(pause_ns);
    pause_ns = std::min(2 * pause_ns, kPauseMaxNs);
    polls = process_gone(*session) ? polls + 1 : 0;
    if (polls < kPollsBeforeAbandon) continue;
    for (const auto& [deadline_ns, transfer] : session->transfers) transfer->abandon();
  }
}

bool Dispatcher::process_gone(const Session& session) const {
  return session.host_id == host_id_ && process_is_gone(session.pid);
}

bool Dispatcher::caller_is_gone(const Session& session) const {
  if (!session.authenticated) return now_ms() - session.opened_ms > kHandshakeMaxMs;
  if (!session.transfers.empty() && session.transfers.begin()->first < now_ns()) return true;
  if (session.superseded_ms != 0 && now_ms() - session.superseded_ms > kSupersededMs) return true;
  return process_gone(session);
}

void Dispatcher::reap() {
  // Shared memory does not report the death of a neighbour: look for it, and for the silent.
  std::vector<std::uint64_t> gone;
  for (const auto& [id, session] : sessions_) {
    if (caller_is_gone(*session)) gone.push_back(id);
  }
  for (const auto id : gone) end_session(id, true);
}

void Dispatcher::activate(std::uint64_t cluster_id, Epoch epoch) {
  cluster_id_ = cluster_id;
  epoch_ = epoch;
  activated_.set();
}

Task<void> Dispatcher::close() {
  stopping_ = true;
  activated_.set();
  requests_.close();
  const auto overdue = [this] { end_sessions(true); };
  const Loop::Periodic limit(fabric_.loop(), std::int64_t{options_.drain_ms} * 1'000'000, overdue);
  co_await requests_.drained();
  end_sessions(false);
  housekeeping_.close();
  co_await housekeeping_.drained();
  stopped_ = true;
}

}  // namespace benchfs
