// The message handlers of renames and links.
#pragma once
#include "metadata/links.hpp"
#include "metadata/moves.hpp"
#include "net/service.hpp"

namespace benchfs {

class MovesService {
 public:
  MovesService(Moves& moves, Links& links, Tokens& tokens, MoveGate& gate, MetaStore& store)
      : moves_(moves), links_(links), tokens_(tokens), gate_(gate), store_(store) {}
  void add_to(Dispatcher& dispatcher);

  Task<void> rename(Incoming incoming);
  Task<void> link(Incoming incoming);
  Task<void> place_entry(Incoming incoming);
  Task<void> drop_link(Incoming incoming);
  Task<void> forget_token(Incoming incoming);
  Task<void> move_gate(Incoming incoming);

 private:
  Moves& moves_;
  Links& links_;
  Tokens& tokens_;
  MoveGate& gate_;
  MetaStore& store_;
};

}  // namespace benchfs
