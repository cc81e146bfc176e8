// Gives the chunk files of this server, or its arena, to clients of the same user on the same host,
// which then read and write them without us (docs/adr/0007-local-access.md, 0024-arena.md). A file
// that is given out stays open here until the client releases it or ends.
#pragma once
#include <cstdint>
#include <list>
#include <memory>

#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "net/local_socket.hpp"
#include "placement/slot_map.hpp"
#include "storage/chunk_store.hpp"
#include "storage/space.hpp"

namespace benchfs {

class LocalService : public Space::Lender {
 public:
  struct Options {
    std::uint64_t instance = 0;      ///< of this process, as clients find it in the cluster file
    std::size_t shares_max = 1024;   ///< descriptors given out at once; who wants more gets `busy`
    std::size_t clients_max = 4096;  ///< who comes later is hung up on, and uses messages
    Space* space = nullptr;          ///< outlives the service; null: clients may write all
    const SlotMap* map = nullptr;    ///< the same; null: every chunk is here
    ServerIndex self = 0;            ///< in the map
  };
  /// Starts to listen. Loop and store outlive the service.
  static Result<std::unique_ptr<LocalService>> start(Loop& loop, ChunkStore& store,
                                                     Options options);
  ~LocalService() override;
  LocalService(const LocalService&) = delete;
  LocalService& operator=(const LocalService&) = delete;

  struct Moved {
    std::uint64_t requests = 0, read_bytes = 0, written_bytes = 0;
  };
  /// What clients have moved themselves, since the start.
  Moved moved() const;
  std::uint64_t lent() const override;
  void recall() override;

  /// Hangs up; clients notice, and send messages instead. Must have ended before destruction.
  Task<void> close();

 private:
  struct Client;
  class SharedSigns;
  LocalService(Loop& loop, ChunkStore& store, Options options, Fd listener,
               std::unique_ptr<SharedSigns> signs);
  Task<void> accept_all();
  Task<void> serve(Fd socket, Gate::Pass pass);
  bool answer(Client& client, const local::Request& request);
  bool answer_for_files(Client& client, const local::Request& request);
  bool answer_for_arena(Client& client, const local::Request& request);
  bool reply(Client& client, Errc code) { return reply(client, static_cast<std::uint32_t>(code)); }
  bool reply(Client& client, std::uint32_t status, int attached = -1, std::uint32_t ordinal = 0);
  Status open_up(const local::Request& request);
  void lend();
  static void add(Moved& sum, const local::Counters& counters);

  Loop& loop_;
  ChunkStore& store_;
  Options options_;
  Fd listener_;
  Gate gate_;
  std::unique_ptr<SharedSigns> signs_;
  Loop::Periodic life_;
  std::list<Client*> clients_;
  std::uint32_t next_ordinal_ = 0;
  std::size_t shares_ = 0;
  Moved ended_;  ///< of clients that have gone
};

}  // namespace benchfs
