// One server as the calling side sees it: endpoint, session, credits, calls in flight. Private to
// net/.
#pragma once
#include <list>
#include <memory>
#include <optional>

#include "net/caller.hpp"

namespace benchfs {

/// A call that waits for its reply. Lives in the frame of Caller::exchange.
struct Caller::Pending {
  Peer* peer = nullptr;
  std::int64_t started_ns = 0;
  std::int64_t deadline_ns = 0;
  std::coroutine_handle<> waiter;
  bool settled = false;  ///< replied (the payload may still be under way), or given up
  bool replied = false;
  std::optional<Error> error;  ///< if given up: why
  UcxCompletion sent;
  UcxCompletion received;
  std::span<std::byte> into;
  std::uint64_t session = 0;
  std::uint16_t msg_id = 0;
  std::uint16_t reply_bytes = 0;
  wire::Header reply_header{};
  RawAnswer answer{};
  std::list<Pending*>::iterator position;

  void settle(Loop& loop);
  /// Ends the call with `why`, or the wait for a payload that a reply announced.
  void give_up(Loop& loop, Error why);
  /// True while UCX may touch the call's buffers.
  bool held_by_ucx() const { return sent.pending || received.pending; }
  /// True while something is expected from the server, and nobody has given up waiting for it.
  bool open() const { return !error && (!settled || held_by_ucx()); }
  /// True while UCX keeps the buffers of a call that was given up.
  bool stuck() const { return error.has_value() && held_by_ucx(); }
};

class Peer {
 public:
  Peer(Caller& caller, ServerIndex index, ServerRecord record, std::uint32_t in_flight_max)
      : credits(in_flight_max), caller_(caller), index_(index), record_(std::move(record)) {}
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  ServerIndex index() const { return index_; }
  const ServerRecord& record() const { return record_; }
  const wire::Authenticate::Reply& limits() const { return limits_; }
  bool ready() const { return state_ == State::ready; }
  std::uint64_t session() const { return session_; }
  /// Null while disconnected.
  Endpoint* endpoint() { return endpoint_.get(); }
  /// Times that it was found dead, and what was the reason last.
  std::uint64_t failures() const { return failures_; }
  Error last_error() const { return last_error_; }

  /// Connects and shows the proof of the secret, or waits for the connection that is being made.
  Task<Status> connect(std::int64_t deadline_ns);
  /// Ends every call in flight with `why` and closes the endpoint.
  void fail(Error why);
  /// Looks after the calls in flight: deadlines, gone processes, silence.
  void watch(std::int64_t now);
  /// Says goodbye if connected, and closes.
  Task<void> close();

  void add(Caller::Pending& pending);
  void remove(Caller::Pending& pending);

  Semaphore credits;
  /// Oldest first. A call stays here until UCX has let go of its buffers: the payload of a reply
  /// may still be under way when the server dies.
  std::list<Caller::Pending*> in_flight;
  std::int64_t heard_ns = 0;  ///< time of its last sign of life

 private:
  enum class State { disconnected, connecting, ready };
  Task<Status> handshake(std::int64_t deadline_ns);
  Task<void> disconnect(std::unique_ptr<Endpoint> endpoint, bool force);
  Task<void> probe();
  /// Waits until no call that was given up is held by UCX; ends those that UCX does not end, once
  /// the server's process has gone.
  Task<void> free_stuck();
  bool process_gone() const;

  Caller& caller_;
  ServerIndex index_;
  ServerRecord record_;
  State state_ = State::disconnected;
  std::unique_ptr<Endpoint> endpoint_;
  std::uint64_t session_ = 0;
  std::uint64_t failures_ = 0;
  Error last_error_{Errc::unreachable};
  bool probing_ = false;
  WaitQueue connecting_;
  std::list<Caller::Pending*> places_;  ///< left in the list by calls that have ended
  wire::Authenticate::Reply limits_{kChunkBytesDefault, 1u << 20, 0};
};

}  // namespace benchfs
