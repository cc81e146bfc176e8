// The serving side: sessions of callers, requests that have arrived, and the table that gives each
// message to its handler. A handler is a coroutine member function of a service:
//     Task<void> Service::read(Incoming incoming);
// registered with dispatcher.add<wire::Read>(service, &Service::read).
#pragma once
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/types.hpp"
#include "loop/sync.hpp"
#include "net/fabric.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// One caller that has said hello. Kept alive by the requests that it has in flight.
struct Session {
  std::uint64_t id = 0;
  std::unique_ptr<Endpoint> endpoint;
  bool authenticated = false;
  bool failed = false;  ///< its endpoint reported an error: nothing more is sent
  wire::Nonce client_nonce{};
  wire::Nonce server_nonce{};
  std::uint64_t host_id = 0;
  std::int64_t pid = 0;
  std::int64_t opened_ms = 0;
  std::int64_t superseded_ms = 0;  ///< when its caller opened another one; 0: not yet
  std::uint32_t in_flight = 0;
  std::uint64_t caller = 0;  ///< hash of its address: equal for the sessions of one caller
  /// Transfers that wait for the caller, by deadline. One whose deadline passes ends the session.
  std::multimap<std::int64_t, UcxCompletion*> transfers;
  /// Identity for permission checks: that of the owner of the job's secret.
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

class Dispatcher;

/// One request that is being served: its header, body and payload, and the way back. Movable; every
/// Incoming is answered once, with reply() or fail().
class Incoming {
 public:
  Incoming(Dispatcher& dispatcher, std::shared_ptr<Session> session, const AmArrival& arrival,
           AmData data);
  Incoming(Incoming&&) noexcept = default;
  Incoming& operator=(Incoming&&) = delete;
  ~Incoming();

  const wire::Header& header() const { return header_; }
  template <wire::Message M>
  typename M::Request body() const {
    typename M::Request request;
    std::memcpy(&request, body_.data(), sizeof(request));
    return request;
  }
  Session& session() const { return *session_; }

  std::size_t payload_bytes() const { return payload_.bytes(); }
  /// True if the payload is here; a name always is (the dispatcher has seen to that).
  bool payload_in_memory() const { return payload_.in_memory(); }
  std::span<const std::byte> payload() const { return payload_.view(); }
  std::string_view name() const {
    const auto bytes = payload();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// Copies or fetches the whole payload into `into` (at least payload_bytes()), and verifies the
  /// checksum if the caller sent one (Errc::checksum).
  Task<Status> receive(std::span<std::byte> into);
  /// Verifies the checksum of a payload that is used where it is.
  Status verify(std::span<const std::byte> payload) const;

  /// Answers. `data` must stay as it is until the task ends. A caller that has gone is not an
  /// error.
  template <wire::Message M>
  Task<void> reply(const typename M::Reply& body, std::span<const std::byte> data = {}) {
    return send_reply(0, std::as_bytes(std::span{&body, 1}), data);
  }
  /// Answers with an error.
  Task<void> fail(Errc code);

 private:
  /// `body` is not used any more when it returns.
  Task<void> send_reply(std::uint16_t status, std::span<const std::byte> body,
                        std::span<const std::byte> data);
  Dispatcher* dispatcher_;
  std::shared_ptr<Session> session_;  ///< null in one that was moved from
  Gate::Pass pass_;
  wire::Header header_{};
  std::int64_t deadline_ns_;
  std::array<std::byte, wire::kBodyMax> body_{};
  AmData payload_;
};

/// Facts for the server's status and for the checks of a request.
struct ServiceCounters {
  std::uint64_t requests = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
};

class Dispatcher {
 public:
  struct Options {
    std::uint64_t instance = 0;  ///< of this server process, as published in the cluster file
    std::span<const std::byte> secret;  ///< of the job; outlives the dispatcher
    std::uint32_t max_sessions = 131072;
    std::uint32_t drain_ms =
        10'000;  ///< close() waits this long for requests before it ends sessions
    std::uint64_t default_chunk_bytes = kChunkBytesDefault;
    std::uint32_t rpc_bytes_max = 1u << 20;
    std::uint32_t uid = 0, gid = 0;  ///< given to every session
  };
  Dispatcher(Fabric& fabric, Options options);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  template <wire::Message M, class Service>
  void add(Service& service, Task<void> (Service::*handler)(Incoming)) {
    Entry& entry = entries_[M::kId];
    entry.name = M::kName;
    entry.body_bytes = sizeof(typename M::Request);
    entry.payload_max = M::kPayloadMax;
    entry.run = [&service, handler](Incoming&& incoming) {
      (service.*handler)(std::move(incoming)).detach();
    };
  }
  /// `function` is called, too, with the id of every session that ends.
  void on_session_end(std::function<void(std::uint64_t)> function) {
    session_end_.push_back(std::move(function));
  }
  /// Begins to take messages in: before this server's address is given to anybody, since UCX drops
  /// what nobody receives. Callers that say hello wait until activate().
  Status open();
  /// Opens sessions from now on; all services have been added.
  void activate(std::uint64_t cluster_id, Epoch epoch);
  /// Refuses new requests (Errc::shutting_down), waits for those in flight, closes all sessions.
  /// What is still moving data after drain_ms (a caller that was stopped) ends with its session.
  Task<void> close();

  Epoch epoch() const { return epoch_; }
  std::size_t sessions() const { return sessions_.size(); }
  ServiceCounters& counters() { return counters_; }

 private:
  friend class Incoming;
  struct Entry {
    const char* name = nullptr;
    std::size_t body_bytes = 0;
    std::size_t payload_max = 0;
    std::function<void(Incoming&&)> run;
  };
  static constexpr std::size_t kIdMax = 128;

  bool arrived(const AmArrival& arrival);
  void hello(const wire::Header& header, const AmArrival& arrival);
  Task<void> welcome(wire::Header header, wire::Hello::Request request,
                     std::vector<std::byte> address);
  Task<void> authenticate(Incoming incoming);
  Task<void> goodbye(Incoming incoming);
  Task<void> refuse(std::shared_ptr<Session> session, wire::Header header, Errc code);
  Task<void> finish_session(std::shared_ptr<Session> session, bool force);
  void end_session(std::uint64_t id, bool force);
  void end_sessions(bool force);
  void reap();
  bool process_gone(const Session& session) const;
  bool caller_is_gone(const Session& session) const;

  Fabric& fabric_;
  Options options_;
  Epoch epoch_ = 0;
  std::uint64_t cluster_id_ = 0;
  Event activated_;
  std::array<Entry, kIdMax> entries_{};
  std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions_;
  std::unordered_map<std::uint64_t, std::uint64_t>
      callers_;  ///< Session::caller -> its latest session
  std::vector<std::function<void(std::uint64_t)>> session_end_;
  ServiceCounters counters_;
  std::uint64_t host_id_;
  Gate requests_;      ///< Incomings
  Gate housekeeping_;  ///< refusals, farewells
  Loop::Periodic reaper_;
  bool stopping_ = false;
  bool stopped_ = false;
};

}  // namespace benchfs
