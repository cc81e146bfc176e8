// UCX: context and worker, endpoints, active messages.
//
// Peers are watched (UCP_ERR_HANDLING_MODE_PEER), which by default drops the shared-memory transports;
// MM_ERROR_HANDLING keeps them. A neighbour that is killed is not reported through shared memory: the
// caller's own deadlines and liveness check notice it (net/caller).
#include "net/fabric.hpp"

#include <signal.h>
#include <ucs/debug/debug.h>

#include <algorithm>
#include <cstdlib>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kFlushMaxNs = 1'000'000'000;
/// Of the queues in shared memory: a request with a name, and a reply with attributes, fit into an
/// element. UCX's 128 bytes would have most replies copied into a buffer beside the queue.
constexpr const char* kFifoElementBytes = "256";

/// UCX takes SIGHUP when it is loaded (UCX_DEBUG_SIGNO), to be told when to log more. In a program that
/// has our library preloaded, the shell of a job script for one, a hangup would then end nothing.
/// libucs is set up before the library that depends on it, so what it gives back is the disposition
/// that the process was started with.
[[gnu::constructor]] void give_back_hangup() {
  struct sigaction now {};
  if (std::getenv("UCX_DEBUG_SIGNO") != nullptr) return;  // somebody wants it
  if (sigaction(SIGHUP, nullptr, &now) != 0) return;
  if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) return;
  ucs_debug_disable_signal(SIGHUP);
}

/// Our part of a UCX request.
struct RequestArea {
  bool abandoned;
};

void on_complete_send(void* request, ucs_status_t status, void* user) {
  const bool abandoned = std::exchange(static_cast<RequestArea*>(request)->abandoned, false);
  ucp_request_free(request);
  if (!abandoned) static_cast<UcxCompletion*>(user)->complete(status);
}
void on_complete_receive(void* request, ucs_status_t status, std::size_t, void* user) {
  on_complete_send(request, status, user);
}

/// Takes the answer of a nonblocking UCX call: done, failed, or completed by the callback later.
void settle(ucs_status_ptr_t answer, UcxCompletion& done) {
  if (UCS_PTR_IS_PTR(answer)) {
    if (done.pending) done.request = answer;
  } else if (answer == nullptr) {
    done.status = UCS_OK;
    done.pending = false;
  } else if (UCS_PTR_IS_ERR(answer)) {
    done.status = UCS_PTR_STATUS(answer);
    done.pending = false;
  }
}

/// The transports that UCX chose: a fall-back to tcp between neighbours costs ten times the latency.
void log_lanes(ucp_ep_h endpoint) {
  char* text = nullptr;
  std::size_t bytes = 0;
  FILE* stream = open_memstream(&text, &bytes);
  if (stream == nullptr) return;
  ucp_ep_print_info(endpoint, stream);
  std::fclose(stream);
  std::string_view rest(text, bytes);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (line.find("lane[") != line.npos) log_debug("UCX: {}", line);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::free(text);
}

}  // namespace

Error error_from_ucx(ucs_status_t status) {
  switch (status) {
    case UCS_ERR_NO_MEMORY:
      return Error{Errc::no_memory, status};
    case UCS_ERR_MESSAGE_TRUNCATED:
      return Error{Errc::bad_message, status};
    case UCS_ERR_CANCELED:
      return Error{Errc::unreachable, status};
    default:
      return Error{Errc::unreachable, status};
  }
}

// UCX 1.13 does not end the operations of an endpoint over shared memory, closed by force, while the queue
// of the other process is full; if that process is dead, it stays full.
void UcxCompletion::abandon() {
  if (!pending) return;
  static_cast<RequestArea*>(request)->abandoned = true;
  complete(UCS_ERR_CANCELED);
}

// ---- Fabric ----

Result<std::unique_ptr<Fabric>> Fabric::create(Loop& loop, Options options) {
  auto fabric = std::unique_ptr<Fabric>(new Fabric(loop, std::move(options)));
  if (auto started = fabric->start(); !started) return std::unexpected(started.error());
  return fabric;
}

Status Fabric::start() {
  const auto refuse = [](const char* what, ucs_status_t status) {
    log_error("UCX: {}: {}", what, ucs_status_string(status));
    return fail(Errc::unreachable, status);
  };
  ucp_config_t* config = nullptr;
  if (auto status = ucp_config_read("BENCHFS", nullptr, &config); status != UCS_OK) {
    return refuse("cannot read the configuration (UCX_* and BENCHFS_UCX_* variables)", status);
  }
  const auto set = [&](const char* name, const char* value) {
    const std::string variable = std::string("BENCHFS_UCX_") + name;
    if (std::getenv(variable.c_str()) != nullptr) return;
    if (auto status = ucp_config_modify(config, name, value); status != UCS_OK) {
      log_warn("UCX: cannot set {}={}: {}", name, value, ucs_status_string(status));
    }
  };
  set("MM_ERROR_HANDLING", "y");
  set("MM_FIFO_ELEM_SIZE", kFifoElementBytes);
  if (!options_.net_device.empty()) set("NET_DEVICES", options_.net_device.c_str());

  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME | UCP_PARAM_FIELD_REQUEST_SIZE |
                      UCP_PARAM_FIELD_REQUEST_INIT;
  params.request_size = sizeof(RequestArea);
  params.request_init = [](void* request) { new (request) RequestArea{}; };
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.name = "benchfs";
  auto status = ucp_init(&params, config, &context_);
  ucp_config_release(config);
  if (status != UCS_OK) return refuse("cannot open a context", status);

  ucp_worker_params_t worker_params{};
  worker_params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  worker_params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  status = ucp_worker_create(context_, &worker_params, &worker_);
  if (status != UCS_OK) return refuse("cannot open a worker", status);
  status = ucp_worker_get_efd(worker_, &event_fd_);
  if (status != UCS_OK) return refuse("the worker has no event descriptor", status);

  ucp_address_t* address = nullptr;
  std::size_t bytes = 0;
  status = ucp_worker_get_address(worker_, &address, &bytes);
  if (status != UCS_OK) return refuse("the worker has no address", status);
  const auto* first = reinterpret_cast<const std::byte*>(address);
  address_.assign(first, first + bytes);
  ucp_worker_release_address(worker_, address);
  return loop_.add_source(*this);
}

Fabric::~Fabric() {
  if (!address_.empty()) loop_.remove_source(*this);
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
  if (context_ != nullptr) ucp_cleanup(context_);
}

bool Fabric::prepare_sleep() { return ucp_worker_arm(worker_) == UCS_OK; }

Status Fabric::set_receiver(unsigned am_id, bool persistent, Receiver receiver) {
  receivers_.push_back(std::make_unique<ReceiverSlot>(ReceiverSlot{this, std::move(receiver)}));
  ucp_am_handler_param_t param{};
  param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                     UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  param.id = am_id;
  param.flags = UCP_AM_FLAG_WHOLE_MSG;
  if (persistent) param.flags |= UCP_AM_FLAG_PERSISTENT_DATA;
  param.cb = &Fabric::on_message;
  param.arg = receivers_.back().get();
  const auto status = ucp_worker_set_am_recv_handler(worker_, &param);
  if (status != UCS_OK) return fail(Errc::unreachable, status);
  return {};
}

ucs_status_t Fabric::on_message(void* slot, const void* header, std::size_t header_bytes, void* data,
                                std::size_t bytes, const ucp_am_recv_param_t* param) {
  auto& receiver = *static_cast<ReceiverSlot*>(slot);
  const bool rendezvous = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
  const AmArrival arrival{{static_cast<const std::byte*>(header), header_bytes},
                          data,
                          bytes,
                          rendezvous};
  // Data that was taken over and released again before the callback ends is simply not kept.
  Fabric& fabric = *receiver.fabric;
  fabric.arriving_ = data;
  const bool taken = receiver.receiver(arrival);
  const bool released = std::exchange(fabric.arriving_, nullptr) == nullptr;
  return taken && bytes > 0 && !released ? UCS_INPROGRESS : UCS_OK;
}

// ---- AmData ----

AmData::AmData(AmData&& other) noexcept
    : fabric_(other.fabric_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(other.bytes_),
      rendezvous_(other.rendezvous_) {}

AmData& AmData::operator=(AmData&& other) noexcept {
  if (this == &other) return *this;
  release();
  fabric_ = other.fabric_;
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = other.bytes_;
  rendezvous_ = other.rendezvous_;
  return *this;
}

void AmData::release() {
  void* const data = std::exchange(data_, nullptr);
  if (data == nullptr || bytes_ == 0) return;
  if (fabric_->arriving_ == data) {
    fabric_->arriving_ = nullptr;
  } else {
    ucp_am_data_release(fabric_->worker_, data);
  }
}

std::span<const std::byte> AmData::view() const {
  BFS_ASSERT(!rendezvous_ || bytes_ == 0);
  if (bytes_ == 0) return {};
  return {static_cast<const std::byte*>(data_), bytes_};
}

void AmData::start_receive(std::span<std::byte> into, UcxCompletion& done) {
  BFS_ASSERT(into.size() >= bytes_);
  done.loop = &fabric_->loop_;
  done.pending = false;
  done.status = UCS_OK;
  if (bytes_ == 0) return;
  if (!rendezvous_) {
    std::memcpy(into.data(), data_, bytes_);
    release();
    return;
  }
  done.pending = true;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.recv_am = &on_complete_receive;
  param.user_data = &done;
  void* const announced = std::exchange(data_, nullptr);
  settle(ucp_am_recv_data_nbx(fabric_->worker_, announced, into.data(), bytes_, &param), done);
}

Task<Status> AmData::receive(std::span<std::byte> into) {
  UcxCompletion done;
  start_receive(into, done);
  const ucs_status_t status = co_await UcxWait{done};
  if (status != UCS_OK) co_return std::unexpected(error_from_ucx(status));
  co_return Status{};
}

// ---- Endpoint ----

Result<std::unique_ptr<Endpoint>> Endpoint::connect(Fabric& fabric, std::span<const std::byte> address,
                                                    FailureHandler on_failure) {
  auto endpoint = std::unique_ptr<Endpoint>(new Endpoint(fabric, std::move(on_failure)));
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.arg = endpoint.get();
  params.err_handler.cb = [](void* self, ucp_ep_h, ucs_status_t status) {
    auto* failing = static_cast<Endpoint*>(self);
    if (std::exchange(failing->failed_, true)) return;
    if (!failing->silenced_) failing->on_failure_(status);
  };
  const auto status = ucp_ep_create(fabric.worker_, &params, &endpoint->endpoint_);
  if (status != UCS_OK) {
    log_debug("UCX: no endpoint: {}", ucs_status_string(status));
    return std::unexpected(error_from_ucx(status));
  }
  if (log_enabled(LogLevel::debug)) log_lanes(endpoint->endpoint_);
  return endpoint;
}

Endpoint::~Endpoint() { BFS_ASSERT(endpoint_ == nullptr); }

void Endpoint::start_send(unsigned am_id, std::span<const std::byte> header,
                          std::span<const std::byte> data, UcxCompletion& done) {
  done.loop = &fabric_.loop_;
  if (endpoint_ == nullptr || failed_) {
    done.status = UCS_ERR_NOT_CONNECTED;
    done.pending = false;
    return;
  }
  done.pending = true;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  const std::size_t eager_max = std::max(fabric_.options_.eager_max_bytes, wire::kInlineMax);
  param.flags = data.size() <= eager_max ? UCP_AM_SEND_FLAG_EAGER : UCP_AM_SEND_FLAG_RNDV;
  param.cb.send = &on_complete_send;
  param.user_data = &done;
  settle(ucp_am_send_nbx(endpoint_, am_id, header.data(), header.size(), data.data(), data.size(), &param),
         done);
}

Task<Status> Endpoint::send(unsigned am_id, std::span<const std::byte> header,
                            std::span<const std::byte> data) {
  UcxCompletion done;
  start_send(am_id, header, data, done);
  const ucs_status_t status = co_await UcxWait{done};
  if (status != UCS_OK) co_return std::unexpected(error_from_ucx(status));
  co_return Status{};
}

Task<void> Endpoint::close(bool force) {
  // Nobody may send from here on; pending operations still complete.
  ucp_ep_h endpoint = std::exchange(endpoint_, nullptr);
  if (endpoint == nullptr) co_return;
  ucp_request_param_t param{};
  if (!force && !failed_) {
    ucs_status_ptr_t flush = ucp_ep_flush_nbx(endpoint, &param);
    const std::int64_t give_up_ns = now_ns() + kFlushMaxNs;
    while (UCS_PTR_IS_PTR(flush) && ucp_request_check_status(flush) == UCS_INPROGRESS &&
           now_ns() < give_up_ns) {
      co_await fabric_.loop_.sleep_ns(100'000);
    }
    if (UCS_PTR_IS_PTR(flush)) ucp_request_free(flush);
  }
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  ucs_status_ptr_t closing = ucp_ep_close_nbx(endpoint, &param);
  while (UCS_PTR_IS_PTR(closing) && ucp_request_check_status(closing) == UCS_INPROGRESS) {
    co_await fabric_.loop_.sleep_ns(100'000);
  }
  if (UCS_PTR_IS_PTR(closing)) ucp_request_free(closing);
}

}  // namespace benchfs
