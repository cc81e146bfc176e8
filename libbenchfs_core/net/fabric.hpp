// UCX as the rest of BenchFS sees it: one context and one worker, as a source of the loop; endpoints;
// active messages in and out. ucp.h is included by net/ alone.
//
// Ownership: the buffers of a send or receive belong to UCX until the awaitable has resumed, also when
// the endpoint failed in between; closing an endpoint by force makes that happen.
#pragma once
#include <ucp/api/ucp.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.hpp"
#include "loop/loop.hpp"
#include "wire/header.hpp"

namespace benchfs {

/// Completion of one UCX operation: posts its waiter to the loop it was started on.
struct UcxCompletion {
  std::coroutine_handle<> waiter;
  ucs_status_t status = UCS_OK;
  bool pending = false;
  Loop* loop = nullptr;
  void* request = nullptr;  ///< UCX's, while pending
  void complete(ucs_status_t result) {
    status = result;
    pending = false;
    request = nullptr;
    if (waiter) loop->post(std::exchange(waiter, {}));
  }
  /// Ends a pending operation that UCX does not end. Only when nobody can touch its buffers any more: the
  /// endpoint is closed, the other process has gone, and what it had sent before was polled.
  void abandon();
};

/// How often the worker is to be polled after the end of a neighbour's process, at least, before the
/// operations with it may be abandoned: more than its queue can hold.
inline constexpr int kPollsBeforeAbandon = 20;

/// An active message that arrived, as UCX hands it over. Valid during the callback only; an owner of
/// `data` is made with AmData.
struct AmArrival {
  std::span<const std::byte> header;
  void* data;
  std::size_t bytes;
  bool rendezvous;
};

class Fabric;

/// Payload of an arrived message, taken over from UCX: either in memory already, or announced
/// (rendezvous) and fetched by receive(). Released on destruction. Movable.
class AmData {
 public:
  AmData() = default;
  AmData(Fabric& fabric, const AmArrival& arrival)
      : fabric_(&fabric), data_(arrival.data), bytes_(arrival.bytes), rendezvous_(arrival.rendezvous) {}
  AmData(AmData&& other) noexcept;
  AmData& operator=(AmData&& other) noexcept;
  ~AmData() { release(); }

  std::size_t bytes() const { return bytes_; }
  bool in_memory() const { return !rendezvous_; }
  /// Only while in_memory().
  std::span<const std::byte> view() const;
  /// Copies or fetches the payload into `into`, which must hold bytes(). Releases it.
  Task<Status> receive(std::span<std::byte> into);
  /// Starts the fetch of an announced payload; `done` is completed now or later. The data is UCX's then.
  void start_receive(std::span<std::byte> into, UcxCompletion& done);
  void release();

 private:
  Fabric* fabric_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool rendezvous_ = false;
};

/// A connection to one worker. Pinned: UCX holds its address. Closed with an awaited close().
class Endpoint {
 public:
  /// Called once, from inside a poll, when the peer has failed; the endpoint must then be closed.
  using FailureHandler = std::function<void(ucs_status_t)>;
  static Result<std::unique_ptr<Endpoint>> connect(Fabric& fabric, std::span<const std::byte> address,
                                                   FailureHandler on_failure);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// Starts to send; `done` is completed now or later (pending tells). header and data stay untouched
  /// until then.
  void start_send(unsigned am_id, std::span<const std::byte> header, std::span<const std::byte> data,
                  UcxCompletion& done);
  /// The same, awaited.
  Task<Status> send(unsigned am_id, std::span<const std::byte> header, std::span<const std::byte> data);
  /// The failure handler is not called any more.
  void silence() { silenced_ = true; }
  /// Ends the connection. force: pending operations fail at once; else they are flushed first.
  Task<void> close(bool force);
  bool failed() const { return failed_; }

 private:
  Endpoint(Fabric& fabric, FailureHandler on_failure)
      : fabric_(fabric), on_failure_(std::move(on_failure)) {}
  Fabric& fabric_;
  FailureHandler on_failure_;
  ucp_ep_h endpoint_ = nullptr;
  bool failed_ = false;
  bool silenced_ = false;
};

/// Awaits a UcxCompletion that was started.
struct UcxWait {
  UcxCompletion& completion;
  bool await_ready() const noexcept { return !completion.pending; }
  void await_suspend(std::coroutine_handle<> waiter) const noexcept { completion.waiter = waiter; }
  ucs_status_t await_resume() const noexcept { return completion.status; }
};

class Fabric final : public Source {
 public:
  struct Options {
    /// Network device to bind to as UCX names it ("lo", "mlx5_0:1"); empty: UCX's choice. The variable
    /// BENCHFS_UCX_NET_DEVICES overrides it, as BENCHFS_UCX_<X> does every UCX setting.
    std::string net_device;
    /// Payloads up to this go inside the message, larger ones by rendezvous.
    std::size_t eager_max_bytes = 32768;
  };
  /// Receives the messages of one AM id. Returns true if it made an AmData of the arrival.
  using Receiver = std::function<bool(const AmArrival&)>;

  static Result<std::unique_ptr<Fabric>> create(Loop& loop, Options options);
  ~Fabric() override;
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  /// persistent: the receiver may keep eager data beyond its call (AmData); else only announced data.
  Status set_receiver(unsigned am_id, bool persistent, Receiver receiver);
  /// Address of this worker, to be given to others.
  std::span<const std::byte> address() const { return address_; }
  Loop& loop() { return loop_; }
  std::size_t eager_max() const { return options_.eager_max_bytes; }

  bool poll() override { return ucp_worker_progress(worker_) != 0; }
  bool prepare_sleep() override;
  int descriptor() const override { return event_fd_; }

 private:
  friend class Endpoint;
  friend class AmData;
  struct ReceiverSlot {
    Fabric* fabric;
    Receiver receiver;
  };
  Fabric(Loop& loop, Options options) : loop_(loop), options_(std::move(options)) {}
  Status start();
  static ucs_status_t on_message(void* slot, const void* header, std::size_t header_bytes, void* data,
                                 std::size_t bytes, const ucp_am_recv_param_t* param);

  Loop& loop_;
  Options options_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int event_fd_ = -1;
  std::vector<std::byte> address_;
  std::vector<std::unique_ptr<ReceiverSlot>> receivers_;
  void* arriving_ = nullptr;  ///< data of the message whose callback is running, unless released
};

/// The error of a UCX status.
Error error_from_ucx(ucs_status_t status);

}  // namespace benchfs
