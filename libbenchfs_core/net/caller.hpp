// The calling side: one peer per server, connected when it is first needed, and request/reply calls
// with credits and deadlines. Used by clients, and by servers towards each other.
//
// A call ends with the reply, with the deadline (timed_out), or when its server is found dead
// (unreachable): by an error of the endpoint, by its process being gone, or by a liveness probe
// after silence. A call never outlives its buffers' use by UCX: when it must give up while UCX
// still holds them, the endpoint is closed by force, which ends every operation on it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "base/types.hpp"
#include "loop/sync.hpp"
#include "net/cluster_info.hpp"
#include "net/fabric.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// The reply to a call of message M.
template <wire::Message M>
struct Answer {
  typename M::Reply body;
  std::size_t payload_bytes;  ///< received into the caller's buffer
};

struct RawAnswer {
  std::array<std::byte, wire::kBodyMax> body;
  std::size_t payload_bytes;
};

/// What a call needs; spans stay valid until it has ended.
struct RawCall {
  std::uint16_t msg_id;
  std::uint16_t request_bytes;
  std::uint16_t reply_bytes;
  std::array<std::byte, wire::kBodyMax> request;
  std::span<const std::byte> payload;
  std::span<std::byte> reply_into;
  bool waits = false;  ///< for other callers, perhaps for long: takes no credit
};

class Peer;

class Caller {
 public:
  struct Options {
    std::uint64_t cluster_id = 0;
    std::span<const std::byte> secret;  ///< outlives the caller
    std::uint32_t deadline_ms = 30'000;
    std::uint32_t failure_detect_ms = 3'000;
    std::uint32_t credits = 16;  ///< requests in flight per server
    bool checksum = false;       ///< payloads carry a CRC32C
  };
  /// Whether the process that `server` describes is alive and answering; unreachable if not, at the
  /// latest after `timeout_ms`.
  using Probe = std::function<Task<Status>(ServerRecord server, std::uint32_t timeout_ms)>;

  Caller(Fabric& fabric, Options options, const std::vector<ServerRecord>& servers, Probe probe);
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  /// Begins to take replies in.
  Status open();
  /// Says goodbye to every server it is connected to. No call may be in flight.
  Task<void> close();

  /// One request and its reply. `payload` and `reply_into` stay as they are until it has ended; a
  /// reply whose payload is larger than `reply_into` is a bad_message. Errors carry the server's
  /// index.
  template <wire::Message M>
  class Call {
   public:
    explicit Call(Task<Result<RawAnswer>> task) : task_(std::move(task)) {}
    bool await_ready() const noexcept { return task_.await_ready(); }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { task_.await_suspend(waiter); }
    Result<Answer<M>> await_resume() {
      Result<RawAnswer> raw = task_.await_resume();
      if (!raw) return std::unexpected(raw.error());
      Answer<M> answer;
      std::memcpy(&answer.body, raw->body.data(), sizeof(answer.body));
      answer.payload_bytes = raw->payload_bytes;
      return answer;
    }

   private:
    Task<Result<RawAnswer>> task_;
  };
  template <wire::Message M>
  Call<M> call(ServerIndex server, const typename M::Request& request,
               std::span<const std::byte> payload = {}, std::span<std::byte> reply_into = {}) {
    RawCall raw{M::kId, sizeof(request), sizeof(typename M::Reply), {}, payload, reply_into};
    if constexpr (requires { M::kWaits; }) raw.waits = M::kWaits;
    std::memcpy(raw.request.data(), &request, sizeof(request));
    return Call<M>(call_raw(server, raw));
  }

  void set_epoch(Epoch epoch) { epoch_ = epoch; }
  /// `function` is called with each server with which a session has been opened, before anything
  /// else is sent in it.
  void on_session(std::function<void(ServerIndex)> function) {
    session_opened_ = std::move(function);
  }
  std::size_t servers() const { return peers_.size(); }
  /// What the server said of itself when the session opened; defaults before that.
  const wire::Authenticate::Reply& server_limits(ServerIndex server) const;
  Loop& loop() { return fabric_.loop(); }

 private:
  friend class Peer;
  struct Pending;
  Task<Result<RawAnswer>> call_raw(ServerIndex server, RawCall call);
  /// One exchange on a connected endpoint, without credits. The call outlives it.
  Task<Result<RawAnswer>> exchange(Peer& peer, const RawCall* call, std::int64_t deadline_ns);
  bool replied(const AmArrival& arrival);
  void watch();

  Fabric& fabric_;
  Options options_;
  Probe probe_;
  Epoch epoch_ = 0;
  std::function<void(ServerIndex)> session_opened_;
  std::uint64_t host_id_;
  std::vector<std::unique_ptr<Peer>> peers_;
  struct Slot {
    Pending* pending = nullptr;
    std::uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  Gate background_;  ///< probes and disconnections
  Loop::Periodic watchdog_;
};

}  // namespace benchfs
