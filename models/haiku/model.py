"""Qwen2 in plain PyTorch: the names and the mathematics of Hugging Face's Qwen2ForCausalLM.

``build(config)`` returns transformers' own class where that is installed, else the
module below; the two have the same weights under the same names.
"""

import torch
from torch import nn
from torch.nn import functional as F

CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
}


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class SwiGLU(torch.autograd.Function):
    """silu(gate) * up, which keeps the sigmoid for the way back: exp is dear on a CPU."""

    @staticmethod
    def forward(ctx, gate, up):
        s = gate.sigmoid()
        a = gate * s
        ctx.save_for_backward(s, a, up)
        return a * up

    @staticmethod
    def backward(ctx, grad):
        s, a, up = ctx.saved_tensors
        # d(g s)/dg = s + a (1 - s)
        return torch.addcmul(a + s, a, s, value=-1).mul_(grad).mul_(up), grad * a


class CrossEntropy(torch.autograd.Function):
    """Mean cross-entropy whose gradient is ready after the forward pass."""

    @staticmethod
    def forward(ctx, logits, target):
        x = logits.float()
        rows = torch.arange(len(target), device=target.device)
        x -= x.amax(-1, keepdim=True)
        at = x[rows, target]
        x.exp_()
        total = x.sum(-1, keepdim=True)
        loss = (total.squeeze(-1).log() - at).mean()
        x /= total * len(target)
        x[rows, target] -= 1.0 / len(target)
        ctx.save_for_backward(x.to(logits.dtype))
        return loss

    @staticmethod
    def backward(ctx, grad):
        return ctx.saved_tensors[0] * grad, None


def rotate(x, cos, sin):
    """Rotate-half RoPE; x (batch, length, heads, head_dim), cos and sin (length, 1, head_dim)."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.heads, self.kv = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        self.dim = d // self.heads
        self.q_proj = nn.Linear(d, d)
        self.k_proj = nn.Linear(d, self.kv * self.dim)
        self.v_proj = nn.Linear(d, self.kv * self.dim)
        self.o_proj = nn.Linear(d, d, bias=False)

    def forward(self, x, cos, sin, mask):
        n, length, _ = x.shape
        group = self.heads // self.kv
        weight = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        bias = torch.cat((self.q_proj.bias, self.k_proj.bias, self.v_proj.bias))
        qkv = F.linear(x, weight, bias).view(n, length, self.heads + 2 * self.kv, self.dim)
        qk = rotate(qkv[:, :, : self.heads + self.kv], cos, sin)
        q, k, v = qk[:, :, : self.heads], qk[:, :, self.heads :], qkv[:, :, self.heads + self.kv :]
        # One product a key head: its queries lie end to end, (n, kv, group * length, dim).
        q = q.view(n, length, self.kv, group, self.dim).permute(0, 2, 3, 1, 4)
        q = q.reshape(n, self.kv, group * length, self.dim) * self.dim**-0.5
        scores = q @ k.permute(0, 2, 3, 1)
        scores = scores.view(n, self.kv, group, length, length).float() + mask
        out = scores.softmax(-1).view(n, self.kv, group * length, length) @ v.transpose(1, 2).to(scores.dtype)
        out = out.view(n, self.heads, length, self.dim).transpose(1, 2).reshape(n, length, -1)
        return self.o_proj(out)


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, f = c["hidden_size"], c["intermediate_size"]
        self.gate_proj = nn.Linear(d, f, bias=False)
        self.up_proj = nn.Linear(d, f, bias=False)
        self.down_proj = nn.Linear(f, d, bias=False)

    def forward(self, x):
        return self.down_proj(SwiGLU.apply(self.gate_proj(x), self.up_proj(x)))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MLP(c)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class Qwen2(nn.Module):
    """Hidden states come from ``hidden``; the head is the embedding, transposed."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        dim = config["hidden_size"] // config["num_attention_heads"]
        inverse = config["rope_theta"] ** (-torch.arange(0, dim, 2) / dim)
        angles = torch.outer(torch.arange(config["max_position_embeddings"]), inverse)
        angles = torch.cat((angles, angles), -1)[:, None]
        self.cos, self.sin = angles.cos(), angles.sin()
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=config["initializer_range"])
                if getattr(module, "bias", None) is not None:
                    nn.init.zeros_(module.bias)
        for layer in self.model.layers:
            for out in (layer.self_attn.o_proj, layer.mlp.down_proj):
                nn.init.normal_(out.weight, std=0.02 / (2 * config["num_hidden_layers"]) ** 0.5)

    def hidden(self, ids):
        """(batch, length) token ids to (batch, length, hidden_size)."""
        length = ids.shape[1]
        mask = torch.full((length, length), float("-inf"), device=ids.device).triu(1)
        cos, sin = (t[:length].to(ids.device) for t in (self.cos, self.sin))
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, cos, sin, mask)
        return self.model.norm(x)

    def logits(self, hidden):
        return F.linear(hidden, self.model.embed_tokens.weight)


def build(config):
    """The model with ``hidden(ids)`` and ``logits(hidden)``."""
    try:
        from transformers import Qwen2Config, Qwen2ForCausalLM
    except ImportError:
        return Qwen2(config)
    model = Qwen2ForCausalLM(Qwen2Config(**config))
    model.hidden = lambda ids: model.model(input_ids=ids, use_cache=False).last_hidden_state
    model.logits = model.lm_head
    return model
