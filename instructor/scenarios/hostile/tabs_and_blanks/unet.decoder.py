for res_block, transformer, upsample in self.decoder:
	x = torch.cat([x, skips.pop()], dim=1)
        x = res_block(x, t_emb)
